"""The front-end build: from sources to a bundle that is found again by its content.

A bundle is kept in the user's cache under a key of everything that goes into it, so a second clone with the same
content serves at once. The work folder with node_modules is kept too, because npm takes longer than the build.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ("gmtool", "gmcenter/locale", "assets")
FILES = ("rxconfig.py", ".npmrc", "gmcenter/kube/kinds.py", "gmcenter/core/i18n.py", "requirements.lock")
LOCK = "reflex.lock"
SUFFIXES = {".py", ".js", ".jsx", ".css", ".json", ".svg", ".po", ".png", ".ico", ".woff2"}
SERVER_ONLY = {"gmtool/asgi.py", "gmtool/build.py", "gmtool/shell/headers.py", "gmtool/shell/guard.py"}
CA_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")
KEEP_BUNDLES = 6


class BuildError(RuntimeError):
    """The front end could not be built; the message ends with the tool's own last words."""


def cache_dir() -> Path:
    """Where bundles and node_modules are kept between runs."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "gm" / "web"


def sources() -> Iterator[Path]:
    """Every file that the bundle depends on, in a stable order."""
    found = [ROOT / name for name in FILES]
    for folder in SOURCES:
        found += [p for p in (ROOT / folder).rglob("*") if p.suffix in SUFFIXES]
    found += (ROOT / LOCK).glob("*.json")
    for path in sorted(set(found)):
        relative = path.relative_to(ROOT).as_posix()
        if path.is_file() and relative not in SERVER_ONLY and "/external/" not in relative:
            yield path


def content_key() -> str:
    """Digest of all sources of the bundle."""
    digest = hashlib.sha256()
    for path in sources():
        content = path.read_bytes()
        if path.parent.name == LOCK:
            content = canonical(content)
        digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + content + b"\0")
    return digest.hexdigest()[:20]


def canonical(content: bytes) -> bytes:
    """A JSON document in one spelling: npm writes the same lock in another order from one time to the next."""
    return json.dumps(json.loads(content), sort_keys=True).encode()


@contextmanager
def same_lock() -> Iterator[None]:
    """Put the lock's files back as they were when only their spelling has changed."""
    before = {path: path.read_bytes() for path in (ROOT / LOCK).glob("*.json")}
    try:
        yield
    finally:
        for path, content in before.items():
            if path.is_file() and path.read_bytes() != content and canonical(path.read_bytes()) == canonical(content):
                path.write_bytes(content)


def bundle_dir() -> Path:
    """Where the bundle of the present sources is, or will be. GM_WEB_BUNDLE names a bundle to use as it is."""
    if given := os.environ.get("GM_WEB_BUNDLE"):
        return Path(given)
    return cache_dir() / "bundles" / content_key()


def is_built(bundle: Path) -> bool:
    """Whether a finished bundle lies there; bundles appear by rename, so the index page is enough."""
    return (bundle / "build" / "client" / "index.html").is_file()


def environment(work: Path) -> dict[str, str]:
    """The environment of the build: our Node, the user's npm registry, no telemetry."""
    env = dict(os.environ)
    scripts = sysconfig.get_path("scripts")
    env["PATH"] = os.pathsep.join([scripts, env.get("PATH", "")])
    env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), env.get("PYTHONPATH")]))
    env.update(
        REFLEX_USE_NPM="1",
        REFLEX_TELEMETRY_ENABLED="false",
        REFLEX_CHECK_LATEST_VERSION="false",
        REFLEX_ENV_MODE="prod",
        REFLEX_WEB_WORKDIR=str(work),
        NPM_CONFIG_OMIT_LOCKFILE_REGISTRY_RESOLVED="true",
        NPM_CONFIG_FUND="false",
        NPM_CONFIG_AUDIT="false",
        CI="1",
    )
    for name in ("__REFLEX_SKIP_COMPILE", "__REFLEX_MOUNT_FRONTEND_COMPILED_APP"):
        env.pop(name, None)
    # The npm of the wheel reads no system-wide npmrc, so a company's own CA has to be handed over.
    if "NODE_EXTRA_CA_CERTS" not in env and (found := next((c for c in CA_BUNDLES if Path(c).is_file()), None)):
        env["NODE_EXTRA_CA_CERTS"] = found
    if "NPM_CONFIG_REGISTRY" not in env:
        # Reflex probes two mirrors of its own when this is unset.
        answer = subprocess.run(
            ["npm", "config", "get", "registry"], env=env, cwd=ROOT, capture_output=True, text=True, check=False
        )
        if answer.returncode == 0 and answer.stdout.strip().startswith("http"):
            env["NPM_CONFIG_REGISTRY"] = answer.stdout.strip().splitlines()[-1]
    return env


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on a file; builds of several clones wait for one another."""
    import fcntl

    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def build(force: bool = False) -> Path:
    """Build the front end when no bundle of the present sources is cached; returns the bundle's folder.

    GM_WEB_DIR names another work folder (with its own node_modules) than the shared one. Raises BuildError.
    """
    bundle = bundle_dir()
    if is_built(bundle) and not force:
        return bundle
    if os.environ.get("GM_WEB_BUNDLE"):
        raise BuildError(f"GM_WEB_BUNDLE names {bundle}, where no bundle is.")
    work = Path(os.environ.get("GM_WEB_DIR") or cache_dir() / "work")
    with lock(work.with_name(work.name + ".lock")):
        if is_built(bundle) and not force:
            return bundle
        work.mkdir(parents=True, exist_ok=True)
        # Reflex copies what is newer than what it has; the work folder may hold a younger file of another clone.
        for stale in (work / "public" / "external", work / "build"):
            shutil.rmtree(stale, ignore_errors=True)
        command = [sys.executable, "-m", "reflex", "export", "--frontend-only", "--no-zip", "--loglevel", "info"]
        log = work.with_name(work.name + ".log")
        with same_lock(), log.open("w") as output:
            done = subprocess.run(
                command, cwd=ROOT, env=environment(work), stdout=output, stderr=subprocess.STDOUT, check=False
            )
        if done.returncode != 0 or not (work / "build" / "client" / "index.html").is_file():
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-40:])
            raise BuildError(f"The front-end build failed ({log}):\n{tail}")
        # The lock may have been completed by npm on the way, which changes the key.
        bundle = bundle_dir()
        publish(work, bundle)
    prune(bundle.parent, keep=bundle)
    return bundle


def publish(work: Path, bundle: Path) -> None:
    """Copy what the server needs out of the work folder, appearing all at once under the bundle's name."""
    fresh = bundle.with_name(f"{bundle.name}.{os.getpid()}")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    shutil.copytree(work / "build" / "client", fresh / "build" / "client")
    for extra in (work / "build").glob("gm-*.json"):
        shutil.copy2(extra, fresh / "build" / extra.name)
    if (work / "backend").is_dir():
        shutil.copytree(work / "backend", fresh / "backend")
    if bundle.exists():
        old = bundle.with_name(f"{bundle.name}.old.{os.getpid()}")
        bundle.rename(old)
        fresh.rename(bundle)
        shutil.rmtree(old, ignore_errors=True)
    else:
        fresh.rename(bundle)


def prune(folder: Path, keep: Path) -> None:
    """Remove all but the newest bundles that nobody touched for a day."""
    bundles = sorted((p for p in folder.iterdir() if p != keep), key=lambda p: p.stat().st_mtime, reverse=True)
    for path in bundles[KEEP_BUNDLES:]:
        if time.time() - path.stat().st_mtime > 86_400:
            shutil.rmtree(path, ignore_errors=True)


def main() -> None:
    """Build and print the bundle's folder: `python -m gmtool.build [--force]`."""
    started = time.monotonic()
    try:
        bundle = build(force="--force" in sys.argv[1:])
    except BuildError as error:
        sys.exit(str(error))
    print(bundle)
    print(f"{time.monotonic() - started:.1f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
