"""Secrets at rest: AES-256-GCM envelope encryption under one master key.

Each secret has a data key of its own, wrapped by the key-encryption key, so that the master key can be changed
without touching the ciphertexts. The purpose and the row's id are authenticated with the ciphertext: a row that is
copied over another one does not open. Nothing here logs, and no error carries a plaintext.
"""

import base64
import hashlib
import hmac
import os
import secrets
import stat
from datetime import datetime
from functools import lru_cache
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import DateTime, LargeBinary
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel

from gmcenter.core import clock
from gmcenter.core.settings import Settings, settings

KEY_BYTES = 32
NONCE_BYTES = 12
FORMAT = b"\x01"


class VaultError(Exception):
    """The master key is missing, short, readable by others, or does not open what was sealed."""


class Secret(SQLModel, table=True):
    """One sealed secret; its plaintext leaves `get` only."""

    __tablename__ = "secret"

    id: int | None = Field(default=None, primary_key=True)
    purpose: str = Field(max_length=64)
    sealed: bytes = Field(sa_type=LargeBinary)
    created_at: datetime = Field(default_factory=clock.now, sa_type=DateTime(timezone=True))


def ensure_key(configuration: Settings, *, fresh: bool) -> Path:
    """Make the master key of a fresh installation, or check the one that is there.

    `fresh` says that no secret has been sealed yet; a key is never made beside secrets that it could not open, nor
    where an operator has named a file. Raises VaultError with what to do.
    """
    path = configuration.key_file
    if not path.exists():
        if configuration.secret_key_file is not None:
            raise VaultError(f"GM_SECRET_KEY_FILE names {path}, which does not exist")
        if not fresh:
            raise VaultError(f"{path} is missing, and the database holds secrets sealed with it: restore the file")
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(base64.b64encode(secrets.token_bytes(KEY_BYTES)) + b"\n")
    _read_key(path)
    return path


def _read_key(path: Path) -> bytes:
    try:
        text = path.read_bytes()
    except OSError as problem:
        raise VaultError(f"the master key {path} cannot be read: {problem.strerror}") from None
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise VaultError(f"the master key {path} is readable by others: chmod 600 it")
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except ValueError:
        raise VaultError(f"the master key {path} is not base64") from None
    if len(key) != KEY_BYTES:
        raise VaultError(f"the master key {path} has {len(key)} bytes; it needs {KEY_BYTES}")
    if len(set(key)) < 8:
        raise VaultError(f"the master key {path} is not random")
    return key


@lru_cache(maxsize=8)
def _derive(path: Path, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=b"gm:" + purpose).derive(_read_key(path))


def derived_key(purpose: bytes) -> bytes:
    """A 32-byte key for one purpose (RFC 5869); the master key itself never leaves this module."""
    return _derive(settings().key_file, purpose)


def mac(purpose: bytes, data: bytes) -> bytes:
    """HMAC-SHA256 of data under the key of one purpose."""
    return hmac.digest(derived_key(b"mac:" + purpose), data, hashlib.sha256)


def forget_keys() -> None:
    """Read the key file again on the next use."""
    _derive.cache_clear()


def _seal(plaintext: bytes, associated: bytes) -> bytes:
    data_key, nonce, wrap_nonce = AESGCM.generate_key(256), os.urandom(NONCE_BYTES), os.urandom(NONCE_BYTES)
    wrapped = AESGCM(derived_key(b"vault")).encrypt(wrap_nonce, data_key, associated)
    return FORMAT + wrap_nonce + wrapped + nonce + AESGCM(data_key).encrypt(nonce, plaintext, associated)


def _open(sealed: bytes, associated: bytes) -> bytes:
    if sealed[:1] != FORMAT:
        raise VaultError("the secret was sealed in an unknown format")
    wrap_end = 1 + NONCE_BYTES
    key_end = wrap_end + KEY_BYTES + 16
    try:
        data_key = AESGCM(derived_key(b"vault")).decrypt(sealed[1:wrap_end], sealed[wrap_end:key_end], associated)
        nonce, ciphertext = sealed[key_end : key_end + NONCE_BYTES], sealed[key_end + NONCE_BYTES :]
        return AESGCM(data_key).decrypt(nonce, ciphertext, associated)
    except (InvalidTag, ValueError):
        raise VaultError("the secret does not open with this master key") from None


def _associated(purpose: str, secret_id: int) -> bytes:
    return f"{purpose}:{secret_id}".encode()


async def put(session: AsyncSession, purpose: str, plaintext: bytes) -> int:
    """Seal a plaintext and return the id under which `get` finds it."""
    row = Secret(purpose=purpose, sealed=b"")
    session.add(row)
    await session.flush()
    assert row.id is not None
    row.sealed = _seal(plaintext, _associated(purpose, row.id))
    await session.flush()
    return row.id


async def get(session: AsyncSession, secret_id: int, purpose: str) -> bytes:
    """Open a secret. Raises VaultError when it is gone, was sealed for another purpose, or does not open."""
    row = await session.get(Secret, secret_id)
    if row is None or row.purpose != purpose:
        raise VaultError(f"no secret {secret_id} for {purpose}")
    return _open(row.sealed, _associated(purpose, secret_id))


async def drop(session: AsyncSession, secret_id: int) -> None:
    """Delete a secret; one that is already gone is fine."""
    row = await session.get(Secret, secret_id)
    if row is not None:
        await session.delete(row)
