"""Scripts beside their Python."""

from __future__ import annotations

from pathlib import Path

import pytest

from gmtool import scripts


def test_a_script_is_linked_into_the_build_under_its_modules_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(scripts.SERVING, raising=False)
    monkeypatch.setattr(scripts, "ASSETS", tmp_path)
    assert scripts.script("gmtool.shell.frame", "frame.jsx") == "$/public/external/gmtool/shell/frame/frame.jsx"
    made = tmp_path / "gmtool" / "shell" / "frame" / "frame.jsx"
    assert made.read_text().startswith("// The frame")


def test_a_script_that_is_missing_stops_the_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(scripts.SERVING, raising=False)
    monkeypatch.setattr(scripts, "ASSETS", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"none\.jsx"):
        scripts.script("gmtool.shell.frame", "none.jsx")


def test_a_server_links_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(scripts.SERVING, "true")
    monkeypatch.setattr(scripts, "ASSETS", tmp_path)
    scripts.script("gmtool.shell.frame", "frame.jsx")
    assert list(tmp_path.iterdir()) == []


def test_a_link_to_another_clone_is_replaced(tmp_path: Path) -> None:
    old, new, target = tmp_path / "old", tmp_path / "new", tmp_path / "deep" / "link"
    for path in (old, new):
        path.write_text(path.name)
    scripts.link(target, old)
    scripts.link(target, new)
    assert target.read_text() == "new"
    assert [p.name for p in target.parent.iterdir()] == ["link"]
