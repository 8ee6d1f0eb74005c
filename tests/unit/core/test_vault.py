"""The vault: what is sealed opens only where, and for what, it was sealed."""

import base64
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlmodel import SQLModel

from gmcenter.core import database, vault
from gmcenter.core.settings import Settings, configure


@pytest.fixture
async def installation(tmp_path: Path) -> AsyncIterator[Settings]:
    chosen = Settings(data=tmp_path)
    configure(chosen)
    vault.forget_keys()
    vault.ensure_key(chosen, fresh=True)
    async with database.system_engine().begin() as connection:
        await connection.run_sync(lambda c: SQLModel.metadata.tables["secret"].create(c))
    yield chosen
    await database.dispose()
    configure(None)
    vault.forget_keys()


async def seal(text: bytes, purpose: str = "cluster") -> int:
    async with database.write() as session:
        return await vault.put(session, purpose, text)


async def test_a_secret_opens_for_its_purpose_only(installation: Settings) -> None:
    secret = await seal(b"s3cr3t")
    async with database.read() as session:
        assert await vault.get(session, secret, "cluster") == b"s3cr3t"
        with pytest.raises(vault.VaultError):
            await vault.get(session, secret, "cloud")


async def test_the_database_never_holds_the_plaintext(installation: Settings) -> None:
    await seal(b"canary-4711")
    await database.dispose()
    for path in installation.data.iterdir():
        assert b"canary-4711" not in path.read_bytes(), path


async def test_a_row_copied_over_another_does_not_open(installation: Settings) -> None:
    mine, theirs = await seal(b"mine"), await seal(b"theirs")
    async with database.write() as session:
        source, target = await session.get(vault.Secret, theirs), await session.get(vault.Secret, mine)
        assert source is not None
        assert target is not None
        target.sealed = source.sealed
    async with database.read() as session:
        with pytest.raises(vault.VaultError):
            await vault.get(session, mine, "cluster")


@pytest.mark.parametrize("position", [0, 1, 20, 60, -1])
async def test_a_changed_byte_does_not_open(installation: Settings, position: int) -> None:
    secret = await seal(b"text")
    async with database.write() as session:
        row = await session.get(vault.Secret, secret)
        assert row is not None
        changed = bytearray(row.sealed)
        changed[position] ^= 1
        row.sealed = bytes(changed)
    async with database.read() as session:
        with pytest.raises(vault.VaultError):
            await vault.get(session, secret, "cluster")


async def test_equal_plaintexts_look_different(installation: Settings) -> None:
    first, second = await seal(b"same"), await seal(b"same")
    async with database.read() as session:
        rows = [await session.get(vault.Secret, i) for i in (first, second)]
    assert len({row.sealed for row in rows if row}) == 2


def test_a_fresh_installation_makes_a_key_only_its_owner_reads(tmp_path: Path) -> None:
    path = vault.ensure_key(Settings(data=tmp_path / "new"), fresh=True)
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(base64.b64decode(path.read_bytes())) == vault.KEY_BYTES


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (base64.b64encode(b"short"), "5 bytes"),
        (b"not base64 !!", "not base64"),
        (base64.b64encode(bytes(32)), "not random"),
    ],
)
def test_a_bad_key_is_refused_with_the_reason(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(vault.VaultError, match=words):
        vault.ensure_key(Settings(data=tmp_path, secret_key_file=path), fresh=True)


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(base64.b64encode(secrets.token_bytes(32)))
    path.chmod(0o644)
    with pytest.raises(vault.VaultError, match="readable by others"):
        vault.ensure_key(Settings(data=tmp_path, secret_key_file=path), fresh=True)


def test_a_lost_key_is_not_replaced_beside_old_secrets(tmp_path: Path) -> None:
    with pytest.raises(vault.VaultError, match="restore"):
        vault.ensure_key(Settings(data=tmp_path), fresh=False)


def test_a_named_key_file_must_exist(tmp_path: Path) -> None:
    with pytest.raises(vault.VaultError, match="does not exist"):
        vault.ensure_key(Settings(data=tmp_path, secret_key_file=tmp_path / "gone"), fresh=True)
