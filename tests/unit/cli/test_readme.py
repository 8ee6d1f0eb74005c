"""The README tells the truth: its settings table is the Settings class, its commands exist."""

import re
from pathlib import Path

import pytest

from gmcenter.cli.__main__ import COMMANDS
from gmcenter.core.settings import Settings

ROOT = Path(__file__).resolve().parents[3]
README = ROOT / "README.md"


def table() -> str:
    """The settings as they are declared."""
    rows = ["| variable | default | meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = field.default
        if field.default_factory is not None:
            shown = "`~/.local/share/gm`"
        elif default in ("", None):
            shown = "–"
        else:
            shown = f"`{str(default).lower() if isinstance(default, bool) else default}`"
        rows.append(f"| `GM_{name.upper()}` | {shown} | {field.description} |")
    return "\n".join(rows)


def test_the_settings_table_is_the_settings_class() -> None:
    found = re.search(r"<!-- settings: begin[^>]*-->\n(.*?)\n?<!-- settings: end -->", README.read_text(), re.DOTALL)
    assert found
    assert found[1] == table(), "put this into README.md:\n" + table()


@pytest.mark.parametrize("document", ["README.md", "docs/running.md"])
def test_every_command_that_a_document_names_exists(document: str) -> None:
    named = set(re.findall(r"\./gm ([a-z0-9]+)", (ROOT / document).read_text()))
    assert named
    assert named <= COMMANDS.keys()


def test_every_file_that_the_readme_links_to_is_there_but_the_picture() -> None:
    links = set(re.findall(r"\]\(([^)#:]+)\)", README.read_text())) - {"docs/images/console.png"}
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
