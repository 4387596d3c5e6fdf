from __future__ import annotations

import pytest

from shared.errors import AddressRefused, SettingsError
from shared.settings import Settings
from shared.web.addresses import LONGEST_URL, AddressPolicy

pytestmark = pytest.mark.unit

NOT_PUBLIC = [
    "127.0.0.1", "127.8.9.1", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1",
    "169.254.169.254", "100.64.0.1", "192.0.0.1", "198.18.0.1", "203.0.113.9", "224.0.0.1",
    "239.1.2.3", "240.0.0.1", "255.255.255.255",
    "::1", "::", "fe80::1", "fe80::1%eth0", "fec0::1", "fc00::1", "fd12::1", "ff02::1",
    "2001:db8::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::7f00:1", "64:ff9b::7f00:1",
    "64:ff9b:1::1", "2002:7f00:1::1", "2001:0:7f00:1::1",
]  # fmt: skip
PUBLIC = [
    "8.8.8.8", "93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c",
    "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1",
]  # fmt: skip


@pytest.mark.parametrize("ip", NOT_PUBLIC)
def test_an_address_that_is_not_public_is_refused(ip: str) -> None:
    with pytest.raises(AddressRefused, match="not a public address"):
        AddressPolicy().check_ip(ip, "news.example", 443)


@pytest.mark.parametrize("ip", PUBLIC)
def test_a_public_address_is_called(ip: str) -> None:
    AddressPolicy().check_ip(ip, "news.example", 443)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ftp://news.example/feed", "only http"),
        ("file:///etc/passwd", "only http"),
        ("javascript:alert(1)", "only http"),
        ("news.example/feed", "only http"),
        ("", "only http"),
        ("http://", "names no host"),
        ("https:///feed", "names no host"),
        ("http://ann:secret@news.example/", "user name or password"),
        ("http://ann@news.example/", "user name or password"),
        ("http://news.example:0/", "0 is not a port"),
        ("http://news.example:99999/", "not a"),
        ("http://news.example:x/", "not a valid address"),
        ("http://news.example/a b", "blanks or control"),
        ("http://news.example/\r\nHost: other", "blanks or control"),
        ("http://news.example/\x00", "blanks or control"),
        ("http://[::1/", "not a valid address"),
        ("http://127.0.0.1/", "not a public address"),
        ("http://[::1]:8080/", "not a public address"),
        ("http://169.254.169.254/latest/meta-data", "not a public address"),
        ("http://localhost/", "this machine"),
        ("http://LOCALHOST./", "this machine"),
        ("http://db.localhost:5432/", "this machine"),
        ("http://news.example/" + "a" * LONGEST_URL, "longer than"),
    ],
)
def test_a_url_that_may_not_be_called_is_refused_with_its_reason(url: str, reason: str) -> None:
    with pytest.raises(AddressRefused, match=reason) as caught:
        AddressPolicy().check_url(url)
    assert "secret" not in caught.value.message


@pytest.mark.parametrize(
    "url",
    [
        "http://news.example/feed.xml?page=2&format=rss",
        "https://news.example:8443/",
        "HTTPS://Bücher.example/nachrichten",
        "http://8.8.8.8/feed",
        "http://xn--bcher-kva.example/",
    ],
)
def test_a_public_url_is_called(url: str) -> None:
    AddressPolicy().check_url(url)


@pytest.mark.parametrize(
    ("allow", "ip", "host", "port", "allowed"),
    [
        ("intranet", "10.0.0.9", "intranet", 80, True),
        ("intranet", "10.0.0.9", "INTRANET.", 8080, True),
        ("intranet", "10.0.0.9", "other", 80, False),
        ("intranet:8080", "10.0.0.9", "intranet", 8080, True),
        ("intranet:8080", "10.0.0.9", "intranet", 80, False),
        ("intranet:8080", "10.0.0.9", "intranet", None, False),
        ("10.0.0.0/8", "10.9.9.9", "any.example", 80, True),
        ("10.0.0.0/8", "192.168.0.1", "any.example", 80, False),
        ("10.0.0.0/8", "::ffff:10.9.9.9", "any.example", 80, True),
        ("127.0.0.1:9000", "127.0.0.1", "localhost", 9000, True),
        ("127.0.0.1:9000", "127.0.0.1", "localhost", 9001, False),
        ("127.0.0.1", "127.0.0.2", "localhost", 80, False),
        ("[::1]:9000", "::1", "localhost", 9000, True),
        ("fd00::/8", "fd12::1", "wiki", 443, True),
    ],
)
def test_an_allowed_entry_opens_what_it_names_and_nothing_else(
    allow: str, ip: str, host: str, port: int | None, allowed: bool
) -> None:
    policy = AddressPolicy((allow,))
    if allowed:
        policy.check_ip(ip, host, port)
    else:
        with pytest.raises(AddressRefused):
            policy.check_ip(ip, host, port)


def test_an_allowed_address_is_allowed_as_a_url_too() -> None:
    policy = AddressPolicy(("127.0.0.1:9000", "localhost:9000"))
    policy.check_url("http://127.0.0.1:9000/feed")
    policy.check_url("http://localhost:9000/feed")
    for url in ("http://127.0.0.1:9001/feed", "http://localhost/feed"):
        with pytest.raises(AddressRefused):
            policy.check_url(url)


def test_no_entry_allows_another_scheme() -> None:
    with pytest.raises(AddressRefused, match="only http"):
        AddressPolicy(("127.0.0.1",)).check_url("gopher://127.0.0.1/")


@pytest.mark.parametrize("entry", ["http://x/", "a b", "host:0", "host:70000", "", "10.0.0.0/40"])
def test_an_entry_that_makes_no_sense_is_named(entry: str) -> None:
    with pytest.raises(SettingsError, match="allowed addresses"):
        AddressPolicy((entry,))


def test_the_setting_is_a_comma_separated_list() -> None:
    settings = Settings(allowed_addresses=" intranet:8080, 10.0.0.0/8 ,")  # type: ignore[arg-type]
    assert settings.allowed_addresses == ("intranet:8080", "10.0.0.0/8")
    settings.address_policy().check_ip("10.1.1.1", "any.example", 80)
    with pytest.raises(AddressRefused):
        Settings().address_policy().check_ip("10.1.1.1", "any.example", 80)
