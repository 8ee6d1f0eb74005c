"""``gm user``, ``gm audit`` and ``gm db``: what they print, and the codes they end with."""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from click.testing import Result
from passlib.hash import argon2
from typer.testing import CliRunner

from gmcenter.cli import audit, db, users
from gmcenter.core import vault
from gmcenter.core.settings import Settings, configure
from gmcenter.identity import passwords

PASSWORD = "Correct-horse-7"

app = typer.Typer()
for part in (users.app, audit.app, db.app):
    app.add_typer(part)


@pytest.fixture(autouse=True)
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(passwords, "_hasher", argon2.using(type="ID", time_cost=1, memory_cost=64, parallelism=1))
    for name in ("LC_ALL", "LC_MESSAGES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", "en_US.UTF-8")
    configure(Settings(data=tmp_path))
    vault.forget_keys()
    yield tmp_path
    configure(None)
    vault.forget_keys()


def gm(*words: str, stdin: str = "") -> Result:
    return CliRunner().invoke(app, list(words), input=stdin)


def add(name: str, role: str = "SA") -> None:
    done = gm("user", "add", name, "--role", role, "--password-stdin", stdin=PASSWORD + "\n")
    assert done.exit_code == 0, done.output


def test_a_user_is_added_listed_and_described_as_json() -> None:
    add("admin", "PA")
    done = gm("user", "add", "kim", "--display-name", "김철수", "--password-stdin", "-o", "json", stdin=PASSWORD + "\n")
    assert json.loads(done.stdout)["displayName"] == "김철수"
    assert "password" not in json.loads(done.stdout)
    listed = json.loads(gm("user", "list", "-o", "json").stdout)
    assert [(user["name"], user["role"], user["enabled"]) for user in listed] == [
        ("admin", "PA", True),
        ("kim", "SA", True),
    ]
    table = gm("user", "list").stdout
    assert "김철수" in table
    assert "enabled" in table


def test_a_generated_password_is_shown_once_and_is_never_an_argument() -> None:
    shown = gm("user", "add", "kim", "--generate").stdout
    assert "shown only now" in shown
    made = json.loads(gm("user", "add", "lee", "--generate", "-o", "json").stdout)
    assert len(made["password"]) == passwords.GENERATED_LENGTH
    assert "--password " not in gm("user", "add", "--help").stdout


def test_someone_at_a_terminal_is_asked_twice_and_nothing_is_echoed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(users, "_terminal", lambda: True)
    done = gm("user", "add", "kim", stdin=f"{PASSWORD}\nother\n{PASSWORD}\n{PASSWORD}\n")
    assert done.exit_code == 0
    assert PASSWORD not in done.output
    assert done.output.count("Repeat for confirmation") == 2


@pytest.mark.parametrize(
    ("words", "stdin", "code", "said"),
    [
        (("user", "add", "kim", "--password-stdin"), "short\n", 1, "at least 10"),
        (("user", "add", "kim"), "", 2, "--password-stdin"),
        (("user", "add", "kim", "--generate", "--password-stdin"), PASSWORD, 2, "exclude"),
        (("user", "add", "Kim Lee", "--generate"), "", 2, "name"),
        (("user", "add", "kim", "--role", "root", "--generate"), "", 2, "role"),
        (("user", "add", "admin", "--generate"), "", 1, "already"),
        (("user", "disable", "admin"), "", 1, "last enabled platform administrator"),
        (("user", "role", "admin", "SA"), "", 1, "last enabled platform administrator"),
        (("user", "role", "admin", "root"), "", 2, "PA, SA"),
        (("user", "disable", "nobody"), "", 1, "nobody"),
        (("user", "passwd", "admin", "--password-stdin"), "short\n", 1, "at least 10"),
        (("audit", "verify", "--head", "x"), "", 2, "seq:mac"),
    ],
)
def test_a_refusal_says_why_and_ends_with_a_code(words: tuple[str, ...], stdin: str, code: int, said: str) -> None:
    add("admin", "PA")
    done = gm(*words, stdin=stdin)
    assert done.exit_code == code, done.output
    assert said in done.stderr
    assert "Traceback" not in done.output


def test_a_user_is_disabled_enabled_promoted_unlocked_and_given_a_password() -> None:
    add("admin", "PA")
    add("kim")
    assert "disabled" in gm("user", "disable", "kim").stdout
    assert "disabled" in gm("user", "list").stdout
    assert "enabled" in gm("user", "enable", "kim").stdout
    assert "PA" in gm("user", "role", "kim", "pa").stdout
    assert "not locked" in gm("user", "unlock", "kim").stdout
    assert gm("user", "passwd", "kim", "--password-stdin", stdin="Another-horse-8\n").exit_code == 0
    assert "shown only now" in gm("user", "passwd", "kim", "--generate").stdout


def test_commands_speak_korean_where_the_terminal_does(monkeypatch: pytest.MonkeyPatch) -> None:
    add("admin", "PA")
    monkeypatch.setenv("LANG", "ko_KR.UTF-8")
    assert "마지막 플랫폼 관리자" in gm("user", "disable", "admin").stderr


def test_the_audit_is_verified_and_a_change_is_found(installed: Path) -> None:
    add("admin", "PA")
    add("kim")
    whole = gm("audit", "verify")
    assert whole.exit_code == 0
    assert "2 entries" in whole.stdout
    document = json.loads(gm("audit", "verify", "-o", "json").stdout)
    assert (document["ok"], document["count"], document["firstBadSeq"]) == (True, 2, None)
    assert gm("audit", "verify", "--head", document["head"]).exit_code == 0
    with sqlite3.connect(installed / "system.db") as connection:
        connection.execute("DROP TRIGGER audit_entry_no_update")
        connection.execute("UPDATE audit_entry SET target = 'else' WHERE seq = 1")
    connection.close()
    broken = gm("audit", "verify")
    assert broken.exit_code == 1
    assert "entry 1" in broken.stdout
    assert "was changed" in broken.stdout
    assert json.loads(gm("audit", "verify", "-o", "json").stdout)["reason"] == "changed"


@pytest.mark.parametrize("reason", ["entry_missing", "not_chained", "changed", "not_the_logged_head", "tail_missing"])
def test_every_break_of_the_audit_has_words(reason: str) -> None:
    from gmcenter.core import i18n

    assert all(i18n.has(f"cli.audit.reason.{reason}", language) for language in i18n.LANGUAGES)


def test_a_cut_tail_is_found_against_a_head_from_the_log(installed: Path) -> None:
    add("admin", "PA")
    add("kim")
    head = json.loads(gm("audit", "verify", "-o", "json").stdout)["head"]
    with sqlite3.connect(installed / "system.db") as connection:
        connection.execute("DROP TRIGGER audit_entry_no_delete")
        connection.execute("DELETE FROM audit_entry WHERE seq = 2")
    connection.close()
    assert gm("audit", "verify").exit_code == 0
    cut = gm("audit", "verify", "--head", head)
    assert cut.exit_code == 1
    assert "cut off" in cut.stdout


def test_the_schema_is_upgraded_once_and_shown(installed: Path) -> None:
    assert json.loads(gm("db", "current", "-o", "json").stdout)["revision"] is None
    first = json.loads(gm("db", "upgrade", "-o", "json").stdout)
    assert first["before"] is None
    assert "up to date" in gm("db", "upgrade").stdout
    shown = json.loads(gm("db", "current", "-o", "json").stdout)
    assert shown["revision"] == shown["latest"] == first["after"]
    assert shown["latest"] in gm("db", "current").stdout


def test_an_installation_that_cannot_be_used_ends_with_code_three(installed: Path) -> None:
    add("admin", "PA")
    (installed / "secret.key").unlink()
    vault.forget_keys()
    for words in (("user", "list"), ("db", "upgrade"), ("audit", "verify")):
        done = gm(*words)
        assert done.exit_code == 3, done.output
        assert "restore the file" in done.stderr
