"""Where the server may connect to when a user names the place."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmcenter.core.address import AddressRefused, Endpoint, UnknownHost, parse_endpoint, refusal, resolve
from gmcenter.core.errors import InvalidField

REFUSED = {
    "127.0.0.1": "loopback",
    "127.255.0.9": "loopback",
    "::1": "loopback",
    "::ffff:127.0.0.1": "loopback",
    "2002:7f00:1::": "loopback",
    "64:ff9b::7f00:1": "loopback",
    "169.254.169.254": "link_local",
    "169.254.1.1": "link_local",
    "::ffff:169.254.169.254": "link_local",
    "64:ff9b::a9fe:a9fe": "link_local",
    "fe80::1": "link_local",
    "fe80::1%eth0": "link_local",
    "fd00:ec2::254": "metadata",
    "fd00:ec2::23": "metadata",
    "100.100.100.200": "metadata",
    "168.63.129.16": "metadata",
    "192.0.0.192": "metadata",
    "224.0.0.1": "multicast",
    "ff02::1": "multicast",
    "0.0.0.0": "unspecified",
    "0.1.2.3": "unspecified",
    "::": "unspecified",
    "240.0.0.1": "reserved",
    "255.255.255.255": "reserved",
}


@pytest.mark.parametrize(("address", "reason"), REFUSED.items())
def test_an_address_that_is_no_other_machine_is_refused(address: str, reason: str) -> None:
    assert refusal(address, allow_loopback=False) == reason


@pytest.mark.parametrize("address", ["10.0.0.1", "172.16.3.4", "192.168.1.1", "203.0.113.9", "fd12::7", "2001:db8::1"])
def test_private_and_public_addresses_are_fine(address: str) -> None:
    assert refusal(address, allow_loopback=False) is None


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
def test_loopback_is_allowed_only_where_the_setting_says_so(address: str) -> None:
    assert refusal(address, allow_loopback=True) is None


def test_allowing_loopback_allows_nothing_else() -> None:
    others = [address for address, reason in REFUSED.items() if reason != "loopback"]
    assert all(refusal(address, allow_loopback=True) for address in others)


async def test_a_name_is_refused_when_all_its_addresses_are() -> None:
    async def lookup(host: str, port: int) -> list[str]:
        return ["169.254.169.254", "127.0.0.1"]

    with pytest.raises(AddressRefused) as caught:
        await resolve("inside.example", 443, allow_loopback=False, lookup=lookup)
    assert caught.value.params["address"] == "169.254.169.254"


async def test_only_the_allowed_addresses_of_a_name_are_given() -> None:
    async def lookup(host: str, port: int) -> list[str]:
        return ["127.0.0.1", "203.0.113.7"]

    assert await resolve("mixed.example", 443, allow_loopback=False, lookup=lookup) == ["203.0.113.7"]


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "0177.0.0.1", "localhost"])
async def test_other_spellings_of_loopback_are_refused_after_they_are_resolved(host: str) -> None:
    with pytest.raises((AddressRefused, UnknownHost)):
        await resolve(host, 443, allow_loopback=False)


async def test_a_name_without_an_address_is_told_as_unknown() -> None:
    with pytest.raises(UnknownHost) as caught:
        await resolve("no-such-host.invalid", 443, allow_loopback=False)
    assert caught.value.reason == "unknown_host"


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("https://h:6443", Endpoint("h", 6443)),
        ("https://H.Example.", Endpoint("h.example.", 443)),
        ("https://[2001:db8::1]:6443/", Endpoint("2001:db8::1", 6443)),
        ("https://rancher.example/k8s/clusters/c-1/", Endpoint("rancher.example", 443, "/k8s/clusters/c-1")),
        (" https://10.0.0.1 ", Endpoint("10.0.0.1", 443)),
    ],
)
def test_an_endpoint_is_taken_apart(text: str, endpoint: Endpoint) -> None:
    assert parse_endpoint(text) == endpoint
    assert parse_endpoint(endpoint.url) == endpoint


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("http://h:6443", "not_https"),
        ("h:6443", "not_https"),
        ("file:///etc/passwd", "not_https"),
        ("https://user:secret@h", "holds_password"),
        ("https://h@evil", "holds_password"),
        ("https://h?x=1", "holds_query"),
        ("https://h#x", "holds_query"),
        ("https://h:0", "bad_port"),
        ("https://h:99999", "not_url"),
        ("https://a..b", "not_host"),
        (f"https://{'a' * 64}.example", "not_host"),
        ("https://", "not_host"),
        ("https://a b", "not_url"),
        ("https://h\nX: y", "not_url"),
        ("https://[fe80::1%25eth0]", "not_host"),
        ("https://h/../admin", "not_path"),
        ("https://h/%2e%2e/admin", "not_path"),
        ("https://h/a\\b", "not_path"),
    ],
)
def test_what_is_no_plain_https_endpoint_is_refused_with_its_reason(text: str, reason: str) -> None:
    with pytest.raises(InvalidField) as caught:
        parse_endpoint(text)
    assert (caught.value.field, caught.value.reason) == ("endpoint", reason)


@given(st.text(max_size=60).map(lambda tail: f"https://{tail}") | st.text(max_size=80))
def test_any_text_is_an_endpoint_in_one_spelling_or_refused(text: str) -> None:
    try:
        endpoint = parse_endpoint(text)
    except InvalidField:
        return
    assert parse_endpoint(endpoint.url) == endpoint
    assert "@" not in endpoint.url
