"""The front-end build: found again by content, published all at once, free of hosts."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from gmtool import build

ROOT = build.ROOT


def test_the_key_changes_with_a_source_and_not_with_what_only_the_server_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (
        "gmtool/page.py",
        "gmtool/asgi.py",
        "assets/a.css",
        "assets/external/link.js",
        "reflex.lock/package.json",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("1")
    monkeypatch.setattr(build, "ROOT", tmp_path)
    first = build.content_key()
    (tmp_path / "gmtool/asgi.py").write_text("2")
    (tmp_path / "assets/external/link.js").write_text("2")
    assert build.content_key() == first
    (tmp_path / "assets/a.css").write_text("2")
    second = build.content_key()
    assert second != first
    (tmp_path / "reflex.lock/package.json").write_text("2")
    assert build.content_key() != second


def test_a_bundle_appears_whole_and_replaces_an_older_one(tmp_path: Path) -> None:
    work, bundle = tmp_path / "work", tmp_path / "bundles" / "key"
    (work / "build" / "client").mkdir(parents=True)
    (work / "build" / "client" / "index.html").write_text("one")
    (work / "build" / "gm-script-hashes.json").write_text("[]")
    build.publish(work, bundle)
    assert build.is_built(bundle)
    (work / "build" / "client" / "index.html").write_text("two")
    build.publish(work, bundle)
    assert (bundle / "build" / "client" / "index.html").read_text() == "two"
    assert [p.name for p in bundle.parent.iterdir()] == ["key"]


def test_a_bundle_that_is_named_but_missing_is_an_error_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GM_WEB_BUNDLE", str(tmp_path / "none"))
    with pytest.raises(build.BuildError, match="none"):
        build.build()


def test_the_committed_lock_pins_every_package_and_names_no_registry() -> None:
    manifest = json.loads((ROOT / "reflex.lock" / "package.json").read_text())
    lock = json.loads((ROOT / "reflex.lock" / "package-lock.json").read_text())
    wanted = manifest["dependencies"] | manifest["devDependencies"]
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in wanted.values())
    packages = {name: entry for name, entry in lock["packages"].items() if name}
    assert all("integrity" in entry for entry in packages.values() if not entry.get("inBundle"))
    assert not any("resolved" in entry for entry in packages.values())


@pytest.mark.parametrize("name", [".npmrc", "reflex.lock/package.json", "rxconfig.py"])
def test_no_file_of_the_build_names_a_host(name: str) -> None:
    assert not re.search(r"https?://", (ROOT / name).read_text())
