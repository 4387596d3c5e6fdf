from __future__ import annotations

from collections.abc import Callable

import httpx2
import pytest

from shared.errors import AddressRefused
from shared.web.addresses import AddressPolicy
from shared.web.client import guarded_client, user_agent
from shared.web.connections import system_addresses
from tests.fakes.network import FakeNetwork, FakeResolver

pytestmark = pytest.mark.unit

PUBLIC, SECOND = "93.184.215.14", "93.184.215.15"


def client_for(
    resolver: FakeResolver,
    network: FakeNetwork,
    allow: tuple[str, ...] = (),
    monotonic: Callable[[], float] = lambda: 0.0,
) -> httpx2.Client:
    return guarded_client(
        AddressPolicy(allow),
        user_agent="Test/1",
        resolve=resolver,
        network=network,
        monotonic=monotonic,
    )


def test_the_name_is_resolved_once_and_the_checked_address_is_connected_to() -> None:
    resolver, network = FakeResolver([[PUBLIC], ["127.0.0.1"]]), FakeNetwork()
    with client_for(resolver, network) as client:
        assert client.get("http://news.example/feed").text == "ok"
    assert resolver.asked == [("news.example", 80)]
    assert network.connected == [(PUBLIC, 80)]


def test_a_name_that_is_rebound_to_this_machine_is_refused_on_the_next_call() -> None:
    resolver, network = FakeResolver([[PUBLIC], ["127.0.0.1"]]), FakeNetwork()
    with client_for(resolver, network) as client:
        client.get("http://news.example/feed")
        with pytest.raises(AddressRefused, match=r"news\.example \(127\.0\.0\.1\)"):
            client.get("http://news.example/feed")
    assert network.connected == [(PUBLIC, 80)]


@pytest.mark.parametrize("hidden", ["127.0.0.1", "169.254.169.254", "::1", "::ffff:10.0.0.1"])
def test_one_address_that_is_not_public_among_several_refuses_the_name(hidden: str) -> None:
    network = FakeNetwork()
    with (
        client_for(FakeResolver([[PUBLIC, hidden]]), network) as client,
        pytest.raises(AddressRefused),
    ):
        client.get("http://news.example/feed")
    assert network.connected == []


def test_the_second_address_is_tried_when_the_first_does_not_answer() -> None:
    network = FakeNetwork(dead=frozenset({PUBLIC}))
    with client_for(FakeResolver([[PUBLIC, SECOND]]), network) as client:
        assert client.get("http://news.example/").status_code == 200
    assert network.connected == [(PUBLIC, 80), (SECOND, 80)]


def test_tls_asks_for_the_name_though_the_address_is_connected_to() -> None:
    network = FakeNetwork()
    with client_for(FakeResolver([[PUBLIC]]), network) as client:
        client.get("https://news.example/")
    assert network.connected == [(PUBLIC, 443)]
    assert network.tls_names == ["news.example"]


@pytest.mark.parametrize(
    "url", ["http://localhost/", "http://10.0.0.1/", "http://a:b@news.example/", "ftp://x.example/"]
)
def test_a_url_that_is_refused_is_not_even_resolved(url: str) -> None:
    resolver, network = FakeResolver([[PUBLIC]]), FakeNetwork()
    with client_for(resolver, network) as client, pytest.raises(AddressRefused):
        client.get(url)
    assert (resolver.asked, network.connected) == ([], [])


def test_numbers_that_spell_an_address_are_checked_as_the_address_they_become() -> None:
    resolver, network = FakeResolver([["127.0.0.1"]]), FakeNetwork()
    with client_for(resolver, network) as client, pytest.raises(AddressRefused):
        client.get("http://2130706433/")
    assert network.connected == []


def test_redirects_are_not_followed_and_would_be_checked() -> None:
    network = FakeNetwork(
        reply=b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n"
    )
    with client_for(FakeResolver([[PUBLIC]]), network) as client:
        assert client.get("http://news.example/").status_code == 302
        with pytest.raises(AddressRefused):
            client.get("http://news.example/", follow_redirects=True)
    assert {ip for ip, _ in network.connected} == {PUBLIC}


def test_no_cookie_is_kept() -> None:
    network = FakeNetwork(
        reply=b"HTTP/1.1 200 OK\r\nSet-Cookie: track=1; Path=/\r\nContent-Length: 0\r\n\r\n"
    )
    with client_for(FakeResolver([[PUBLIC]]), network) as client:
        client.get("http://news.example/")
        assert list(client.cookies.jar) == []


def test_a_name_that_is_not_known_and_one_that_takes_too_long() -> None:
    for error, kind in (
        (OSError("no such name"), httpx2.ConnectError),
        (TimeoutError("slow"), httpx2.ConnectTimeout),
    ):
        with client_for(FakeResolver([error]), FakeNetwork()) as client, pytest.raises(kind):
            client.get("http://news.example/")


def test_a_call_ends_at_its_deadline_even_between_two_bytes() -> None:
    ticks = iter(range(0, 10_000, 4))  # four seconds pass between any two looks at the clock
    network = FakeNetwork(reply=b"HTTP/1.1 200 OK\r\n")
    with (
        client_for(
            FakeResolver([[PUBLIC]]), network, monotonic=lambda: float(next(ticks))
        ) as client,
        pytest.raises(httpx2.TimeoutException),
    ):
        client.get("http://news.example/", extensions={"total_timeout": 10.0})


def test_the_agent_says_who_calls() -> None:
    assert user_agent("feed reader").startswith("Triptych/")
    with client_for(FakeResolver([[PUBLIC]]), FakeNetwork()) as client:
        assert client.headers["User-Agent"] == "Test/1"


def test_the_system_resolver_names_loopback_and_refuses_what_is_no_name() -> None:
    assert set(system_addresses("localhost", 80, 5.0)) <= {"127.0.0.1", "::1"}
    for host in ("no-such-name.invalid", "a" * 70, "a..b"):
        with pytest.raises(OSError):
            system_addresses(host, 80, 30.0)
