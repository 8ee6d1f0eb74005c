"""Passwords: rules, hashes, and the same work for everyone."""

import asyncio
import statistics
import subprocess
import sys
import time
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from passlib.hash import argon2

from gmcenter.core import i18n
from gmcenter.core.settings import Settings
from gmcenter.identity import passwords
from gmcenter.identity.errors import WeakPassword


def broken_rules(password: str, name: str = "") -> set[str]:
    try:
        passwords.check(password, name=name)
    except WeakPassword as problem:
        return {error.key.rpartition(".")[2] for error in problem.errors}
    return set()


@pytest.mark.parametrize(
    ("password", "rules"),
    [
        ("", {"too_short"}),
        ("abcdefghi", {"too_short"}),
        ("abcdefghij", set()),
        ("abcd" * 64, set()),
        ("abcd" * 64 + "e", {"too_long"}),
        ("가나다라마바사아자차", set()),
        ("aaaaaaaaaaaa", {"repetitive"}),
        ("abcdefg\nhijk", {"control_character"}),
        ("abcdefg\0hijk", {"control_character"}),
    ],
)
def test_rules_of_a_new_password(password: str, rules: set[str]) -> None:
    assert broken_rules(password) == rules


def test_a_password_may_not_be_the_name() -> None:
    assert broken_rules("Gil.Dong.Hong", name="gil.dong.hong") == {"same_as_name"}


def test_every_broken_rule_has_words_in_both_languages() -> None:
    for rule in ("too_short", "too_long", "control_character", "same_as_name", "repetitive"):
        for language in i18n.LANGUAGES:
            assert i18n.has(f"identity.password.{rule}", language)


def test_the_field_is_named_as_the_form_calls_it() -> None:
    with pytest.raises(WeakPassword) as caught:
        passwords.check("short", field="new")
    assert {error.field for error in caught.value.errors} == {"new"}


def test_generated_passwords_keep_the_rules_and_differ() -> None:
    made = {passwords.generate() for _ in range(200)}
    assert len(made) == 200
    assert all(not broken_rules(password) for password in made)


async def test_the_hash_is_argon2id_with_the_parameters_of_rfc_9106() -> None:
    stored = await passwords.hashed("Correct-horse-7")
    assert stored.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert await passwords.verified("Correct-horse-7", stored)
    assert not await passwords.verified("Correct-horse-8", stored)
    assert not passwords.outdated(stored)


async def test_a_hash_with_other_parameters_still_opens_and_is_outdated() -> None:
    stored = argon2.using(type="ID", time_cost=2, memory_cost=19456, parallelism=1).hash("Correct-horse-7")
    assert await passwords.verified("Correct-horse-7", stored)
    assert passwords.outdated(stored)


async def test_hangul_opens_however_the_keyboard_composed_it() -> None:
    composed = unicodedata.normalize("NFC", "비밀번호는 열 자 이상")
    decomposed = unicodedata.normalize("NFD", composed)
    assert composed != decomposed
    assert await passwords.verified(decomposed, await passwords.hashed(composed))


async def test_nobodys_hash_opens_for_no_one(installation: Settings) -> None:
    assert not await passwords.verified("Correct-horse-7", None)
    assert not await passwords.verified("", None)


async def test_nobodys_hash_asks_for_the_same_work_as_a_real_one() -> None:
    real, nobodys = await passwords.hashed("Correct-horse-7"), passwords._nobodys_hash()
    assert nobodys.split("$")[:4] == real.split("$")[:4]
    assert [len(part) for part in nobodys.split("$")] == [len(part) for part in real.split("$")]
    assert nobodys != passwords._nobodys_hash()


async def test_a_hash_that_is_none_of_ours_opens_for_no_one(installation: Settings) -> None:
    for stored in ("", "plain", "$argon2id$broken", "$2b$12$abcdefghijklmnopqrstuv"):
        assert not await passwords.verified("plain", stored)


async def test_a_password_is_not_cut_at_the_longest_length(installation: Settings) -> None:
    longest = "abcd" * 64
    stored = await passwords.hashed(longest)
    assert await passwords.verified(longest, stored)
    assert not await passwords.verified(longest + "x", stored)


@given(st.text(max_size=300), st.text(max_size=300))
@settings(max_examples=30, deadline=None)
def test_only_the_same_text_opens(one: str, other: str) -> None:
    cheap = argon2.using(type="ID", time_cost=1, memory_cost=64, parallelism=1)
    before, passwords._hasher = passwords._hasher, cheap
    try:
        stored = asyncio.run(passwords.hashed(one))
        same = passwords.normalised(one) == passwords.normalised(other) and len(passwords.normalised(one)) <= 256
        assert asyncio.run(passwords.verified(other, stored)) == same
    finally:
        passwords._hasher = before


async def test_hashing_does_not_hold_the_event_loop() -> None:
    work = asyncio.create_task(passwords.hashed("Correct-horse-7"))
    turns = 0
    while not work.done():
        turns += 1
        await asyncio.sleep(0)
    assert turns > 10


async def test_a_known_and_an_unknown_user_cost_the_same_work() -> None:
    stored = await passwords.hashed("Correct-horse-7")

    async def cost(against: str | None) -> float:
        started = time.process_time()  # of all threads: what other programs do does not count
        await passwords.verified("Wrong-horse-77", against)
        return time.process_time() - started

    pairs = [(await cost(stored), await cost(None)) for _ in range(5)]
    known, unknown = (statistics.median(side) for side in zip(*pairs, strict=True))
    assert 0.5 < known / unknown < 2.0


FIRST = """
import asyncio

from gmcenter.identity import passwords

async def main():
    print(await asyncio.gather(*(passwords.verified("any password", None) for _ in range(2))))

asyncio.run(main())
"""


def test_the_first_passwords_of_a_process_may_be_those_of_nobody() -> None:
    """In a process of its own: here the library behind the hash was loaded long ago."""
    done = subprocess.run([sys.executable, "-c", FIRST], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.returncode) == ("[False, False]", 0), done.stderr
