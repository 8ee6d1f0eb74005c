"""What `gm up` finds out before it starts: contexts of the user's own kubeconfig, the address, the folder."""

from pathlib import Path

import pytest

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


@pytest.mark.parametrize("text", ["", "- 1\n", "contexts: nothing\n", "contexts: [{}]\n", ": : :\n", "\x00"])
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
