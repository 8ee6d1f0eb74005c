"""Passwords: argon2id, never on the event loop, and the same work whether or not the user exists.

Parameters are the second recommended option of RFC 9106 §4 (64 MiB, 3 passes, 4 lanes). A hash made with other ones is
replaced at the next sign-in. Two threads of our own do the hashing: enough for 2 cores, and a burst of sign-ins can
neither take gigabytes of memory nor the threads that others wait for.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from passlib.hash import argon2

from gmcenter.core.errors import FieldError
from gmcenter.identity.errors import WeakPassword

SHORTEST: Final = 10
LONGEST: Final = 256
GENERATED_CHARACTERS: Final = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
GENERATED_LENGTH: Final = 20


def make_hasher() -> Any:
    """The hash with the parameters of today."""
    return argon2.using(type="ID", time_cost=3, memory_cost=64 * 1024, parallelism=4)


_hasher: Any = make_hasher()
_loading = threading.Lock()
_threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="gm-password")


def _loaded() -> Any:
    """The hash with the library behind it, which the first sign-in of a process loads.

    passlib puts its methods in place while it loads: one that was looked up before is refused, so nobody may look
    them up earlier, neither we nor the other thread.
    """
    with _loading:
        _hasher.set_backend()
    return _hasher


def normalised(password: str) -> str:
    """The same password however a keyboard composed it (NFC, RFC 8265 §4.2.2): macOS may send Hangul decomposed."""
    return unicodedata.normalize("NFC", password)


def check(password: str, *, name: str = "", field: str = "password") -> None:
    """Raise WeakPassword with every rule that a new password breaks; ``field`` is what the form calls it."""
    text = normalised(password)
    errors = []
    if len(text) < SHORTEST:
        errors.append(FieldError(field, "identity.password.too_short", {"shortest": SHORTEST}))
    if len(text) > LONGEST:
        errors.append(FieldError(field, "identity.password.too_long", {"longest": LONGEST}))
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in text):
        errors.append(FieldError(field, "identity.password.control_character"))
    if name and text.casefold() == name.casefold():
        errors.append(FieldError(field, "identity.password.same_as_name"))
    if text and len(set(text)) < 4:
        errors.append(FieldError(field, "identity.password.repetitive"))
    if errors:
        raise WeakPassword(errors=errors)


def generate() -> str:
    """A random password of letters and digits that cannot be mistaken for each other (about 115 bits)."""
    return "".join(secrets.choice(GENERATED_CHARACTERS) for _ in range(GENERATED_LENGTH))


def _nobodys_hash() -> str:
    """What is verified for a user who does not exist: today's parameters, and random bytes where a hash would be."""
    random = {"salt": secrets.token_bytes(16), "checksum": secrets.token_bytes(_hasher.checksum_size)}
    return str(_hasher(**random, use_defaults=True).to_string())


async def hashed(password: str) -> str:
    """The argon2id hash of a password, as text with its parameters and salt."""
    text = normalised(password)
    return await asyncio.get_running_loop().run_in_executor(_threads, lambda: str(_loaded().hash(text)))


async def verified(password: str, stored: str | None) -> bool:
    """Whether the password belongs to the hash. ``stored`` is None for an unknown user: the same work, and False.

    A password longer than any that could have been set is cut before the work, and does not match.
    """
    text = normalised(password)
    fits = len(text) <= LONGEST

    def verify() -> bool:
        hasher = _loaded()
        try:
            matches = bool(hasher.verify(text[:LONGEST], stored if stored is not None else _nobodys_hash()))
        except ValueError:  # a hash that we did not write: nobody's password
            hasher.verify("", _nobodys_hash())
            return False
        return matches and fits and stored is not None

    return await asyncio.get_running_loop().run_in_executor(_threads, verify)


def outdated(stored: str) -> bool:
    """Whether the hash was made with other parameters than today's and should be replaced."""
    return bool(_hasher.needs_update(stored))
