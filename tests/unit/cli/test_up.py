"""What `gm up` finds out before it starts: contexts of the user's own kubeconfig, the address, the folder."""

import contextlib
from pathlib import Path

import pytest
import typer

from gmcenter.cli import console, up
from gmcenter.core import settings

CONFIG = "apiVersion: v1\nkind: Config\ncontexts:\n- {name: east, context: {}}\n- {name: west, context: {}}\n"


@pytest.fixture(autouse=True)
def _own_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the environment and the settings of other tests alone."""
    for name in ("GM_DATA", "GM_PORT", "GM_HOST"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv(name, "1" if name == "GM_PORT" else "x")  # so that what the code sets is undone
        monkeypatch.delenv(name)
    before = settings._current
    monkeypatch.setattr(settings, "_current", before)


def test_contexts_are_offered_with_the_command_that_registers_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = tmp_path / "one", tmp_path / "two"
    first.write_text(CONFIG)
    second.write_text("contexts: [{name: south}]\n")
    monkeypatch.setenv("KUBECONFIG", f"{first}:{tmp_path / 'absent'}:{second}")
    assert [entry["context"] for entry in up.kubeconfig_contexts()] == ["east", "west", "south"]
    assert up.kubeconfig_contexts()[0]["command"] == "./gm cluster add --context east"


@pytest.mark.parametrize(
    "text", ["", "- 1\n", "contexts: nothing\n", "contexts: [{}]\n", ": : :\n", "\x00", "a: 2026-13-45\n"]
)
def test_a_kubeconfig_that_is_none_offers_nothing(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    monkeypatch.setenv("KUBECONFIG", str(path))
    assert up.kubeconfig_contexts() == []


def test_options_reach_the_programs_by_their_environment(tmp_path: Path) -> None:
    folder = console.configure(data=tmp_path / "data", port=9123, host="0.0.0.0")
    assert folder == tmp_path / "data"
    assert settings.settings().port == 9123
    assert console.address() == "http://127.0.0.1:9123"
    console.configure(data=None, port=None, host="::1")
    assert console.address() == "http://[::1]:9123"


def test_the_name_of_a_context_is_one_word_of_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "config"
    path.write_text("contexts: [{name: 'a; reboot'}]\n")
    monkeypatch.setenv("KUBECONFIG", str(path))
    assert up.kubeconfig_contexts()[0]["command"] == "./gm cluster add --context 'a; reboot'"


def test_a_folder_that_cannot_be_written_is_told_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as stopped, console.holding(Path("/dev/null/x")):
        pytest.fail("nothing may be started there")
    assert stopped.value.exit_code == 3
    assert "/dev/null/x" in capsys.readouterr().err


def test_a_first_start_that_ends_before_it_answers_still_shows_the_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(up, "build_front_end", lambda: None)
    monkeypatch.setattr(up, "holding", contextlib.nullcontext)
    monkeypatch.setattr(up, "supervise", lambda *_: None)
    monkeypatch.setattr(up, "first_administrator", lambda: {"username": "admin", "password": "made-just-now"})
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "absent"))
    up.up(data=tmp_path, port=None, host=None, detach=False, output=up.Output.TEXT)
    assert "made-just-now" in capsys.readouterr().out


@pytest.mark.parametrize("output", up.Output)
def test_a_child_that_ends_before_it_answers_fails_with_the_password_shown(
    output: up.Output, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(up, "build_front_end", lambda: None)
    said = '{"url": null, "username": "admin", "password": "made-just-now", "contexts": []}'
    script = f"echo '{said}'; echo why it ended >&2; exit 1"
    started = up.subprocess.Popen
    monkeypatch.setattr(up.subprocess, "Popen", lambda _, **options: started(["/bin/sh", "-c", script], **options))
    with pytest.raises(typer.Exit) as stopped:
        up.answer_of_child(tmp_path, ["up"], output, up.show)
    told = capsys.readouterr()
    assert stopped.value.exit_code == 1
    assert "made-just-now" in told.out
    assert "why it ended" in told.err
    assert "made-just-now" not in (tmp_path / "log" / "console.log").read_text()
