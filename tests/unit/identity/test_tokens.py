"""Access tokens: only what we signed, for us, and not for long."""

import base64
import hashlib
import hmac
import json
import secrets
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st
from jose import jwt

from gmcenter.core import vault
from gmcenter.core.errors import Unauthenticated
from gmcenter.core.settings import Settings, configure
from gmcenter.identity import tokens

SESSION = "0123456789abcdef0123456789abcdef"


@pytest.fixture(scope="module", autouse=True)
def key(tmp_path_factory: pytest.TempPathFactory) -> Any:
    chosen = Settings(data=tmp_path_factory.mktemp("tokens"))
    configure(chosen)
    vault.forget_keys()
    vault.ensure_key(chosen, fresh=True)
    yield
    configure(None)
    vault.forget_keys()


def part(document: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")


def claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    made = {"iss": "gedge-gm", "aud": "gmcapi", "sub": "7", "sid": SESSION, "jti": "x", "iat": now, "exp": now + 900}
    return {name: value for name, value in (made | changes).items() if value is not None}


def signed(document: dict[str, Any], **options: Any) -> str:
    return str(jwt.encode(document, tokens._key(), **({"algorithm": "HS256"} | options)))


def refused(token: str) -> bool:
    try:
        tokens.read(token)
    except Unauthenticated:
        return True
    return False


def test_a_token_says_who_and_in_which_session_for_fifteen_minutes() -> None:
    found = tokens.read(tokens.issue(7, SESSION))
    assert (found.user_id, found.session_id) == (7, SESSION)
    assert found.expires_at - found.issued_at == 900
    assert abs(found.issued_at - time.time()) < 5


def test_a_token_says_nothing_about_rights() -> None:
    assert set(jwt.get_unverified_claims(tokens.issue(7, SESSION))) == {"iss", "aud", "sub", "sid", "jti", "iat", "exp"}


def test_every_token_has_an_id_of_its_own() -> None:
    assert tokens.read(tokens.issue(7, SESSION)).token_id != tokens.read(tokens.issue(7, SESSION)).token_id


def test_our_own_claims_pass_so_that_the_refusals_below_mean_something() -> None:
    assert not refused(signed(claims()))


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "someone-else"},
        {"iss": "someone-else"},
        {"sub": "admin"},
        {"exp": "soon"},
        {"aud": ["gmcapi", 7]},
        {"sub": 7},
        *({name: None} for name in ("iss", "aud", "sub", "sid", "jti", "iat", "exp")),
    ],
)
def test_wrong_expired_or_missing_claims_are_refused(changes: dict[str, Any]) -> None:
    assert refused(signed(claims(**changes)))


@pytest.mark.parametrize(("claim", "seconds"), [("exp", -1), ("iat", 600)])
def test_times_that_are_past_or_to_come_are_refused(claim: str, seconds: int) -> None:
    assert refused(signed(claims(**{claim: int(time.time()) + seconds})))


def test_a_token_signed_with_another_key_is_refused() -> None:
    assert refused(str(jwt.encode(claims(), secrets.token_bytes(32), algorithm="HS256")))
    assert refused(str(jwt.encode(claims(), "", algorithm="HS256")))


def test_the_master_key_itself_does_not_sign(tmp_path: Path) -> None:
    from gmcenter.core.settings import settings

    raw = base64.b64decode(settings().key_file.read_bytes())
    assert raw != tokens._key()
    assert refused(str(jwt.encode(claims(), raw, algorithm="HS256")))


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "", "HS256 ", "HS384", "RS256", "dir"])
def test_an_algorithm_that_we_did_not_name_is_refused(algorithm: str) -> None:
    head, body = part({"alg": algorithm, "typ": "JWT"}), part(claims())
    mac = hmac.digest(tokens._key(), f"{head}.{body}".encode(), hashlib.sha256)
    signature = base64.urlsafe_b64encode(mac).decode().rstrip("=")
    for ending in ("", signature):
        assert refused(f"{head}.{body}.{ending}")


def test_other_algorithms_with_our_key_are_refused() -> None:
    assert refused(signed(claims(), algorithm="HS512"))
    pem = (
        rsa.generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    )
    assert refused(str(jwt.encode(claims(), pem, algorithm="RS256")))


@given(st.integers(min_value=0), st.integers(min_value=1, max_value=255))
def test_any_changed_character_breaks_the_token(position: int, shift: int) -> None:
    token = tokens.issue(7, SESSION)
    place = position % len(token)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."
    other = alphabet[(alphabet.index(token[place]) + shift) % len(alphabet)]
    changed = token[:place] + other + token[place + 1 :]
    if other == token[place]:
        return
    if place == len(token) - 1 and other != ".":
        return  # the last two bits of base64 carry nothing: another letter may spell the same signature
    assert refused(changed)


@given(st.one_of(st.text(max_size=200), st.builds(".".join, st.lists(st.text("abcXYZ09-_=", max_size=40), max_size=5))))
def test_garbage_is_refused_and_never_an_error_of_ours(text: str) -> None:
    assert refused(text)


def test_deep_or_long_headers_are_refused() -> None:
    deep = base64.urlsafe_b64encode(b"[" * 1400).decode()
    assert refused(f"{deep}.{part(claims())}.x")
    assert refused("a" * 100_000)
    assert refused(tokens.issue(7, SESSION) + "A" * 3000)


def test_the_lifetime_is_a_setting() -> None:
    from gmcenter.core.settings import settings

    before = settings()
    configure(before.model_copy(update={"access_token_minutes": 5}))
    try:
        found = tokens.read(tokens.issue(7, SESSION))
        assert found.expires_at - found.issued_at == tokens.lifetime() == 300
    finally:
        configure(before)
