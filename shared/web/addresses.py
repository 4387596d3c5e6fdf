"""Which addresses may be called: public ones over http and https, and those an operator allows.

A user names feeds and webhooks, and the server calls them: without a rule that is a way into the
operator's own network (server-side request forgery, CWE-918). ``check_url`` reads the address
before it is stored or called; ``check_ip`` is asked once more for each address that the name
stands for, at the moment of connecting (``shared.web.client``), since a name may change its mind
(DNS rebinding).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import NoReturn

from shared.errors import AddressRefused, SettingsError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

LONGEST_URL = 2_048
"""Characters of an address; longer ones are refused."""

_GLOBAL_UNICAST = ip_network("2000::/3")  # RFC 4291, section 2.4; all else is for special use
_NAT64 = ip_network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address
_ENTRY = re.compile(r"(?P<host>\[[0-9a-fA-F:.]+\]|[^\s:/@\[\]]+)(?::(?P<port>\d{1,5}))?")


@dataclass(frozen=True)
class AddressPolicy:
    """What may be called. ``allow`` lists exceptions to the refusal of addresses not public.

    An entry is a network (``10.2.0.0/16``), an IP address or a host name, the latter two with a
    port or without (``intranet``, ``127.0.0.1:8080``, ``[::1]:8080``). A network or an IP address
    speaks of the address that is connected to, a host name of the name in the URL.
    Raises SettingsError for an entry that is none of these.
    """

    allow: tuple[str, ...] = ()
    _networks: tuple[tuple[Network, int | None], ...] = field(
        init=False, repr=False, compare=False, default=()
    )
    _hosts: frozenset[tuple[str, int | None]] = field(
        init=False, repr=False, compare=False, default=frozenset()
    )

    def __post_init__(self) -> None:
        networks: list[tuple[Network, int | None]] = []
        hosts: list[tuple[str, int | None]] = []
        for entry in self.allow:
            what, port = _read_entry(entry)
            if isinstance(what, str):
                hosts.append((what, port))
            else:
                networks.append((what, port))
        object.__setattr__(self, "_networks", tuple(networks))
        object.__setattr__(self, "_hosts", frozenset(hosts))

    def check_url(self, url: str) -> None:
        """Raises AddressRefused when the URL may not be called, whatever its name resolves to.

        Refused: other schemes than http and https, a user or password in it, port 0, blanks and
        control characters, no host, ``localhost`` and IP addresses that are not public unless
        they are allowed, more than LONGEST_URL characters.
        """
        import httpx2

        if len(url) > LONGEST_URL:
            _refuse(url[:80] + "…", f"it is longer than {LONGEST_URL:,} characters")
        if any(c.isspace() or not c.isprintable() for c in url):
            _refuse(url, "it holds blanks or control characters")
        try:
            parsed = httpx2.URL(url)
            host = parsed.raw_host.decode("ascii")
        except (httpx2.InvalidURL, ValueError) as error:
            _refuse(url, f"it is not a valid address ({error})")
        if parsed.scheme not in ("http", "https"):
            _refuse(url, "only http:// and https:// are called")
        if parsed.userinfo:
            _refuse(f"{parsed.scheme}://…@{host}", "a user name or password is in it")
        if not host:
            _refuse(url, "it names no host")
        port = parsed.port if parsed.port is not None else default_port(parsed.scheme)
        if not 1 <= port <= 65_535:
            _refuse(url, f"{port} is not a port")
        literal = _as_ip(host)
        if literal is not None:
            self.check_ip(host, host, port)
        elif _is_local_name(host) and not self._allows_host(_plain_name(host), port):
            _refuse(url, f"{host} is this machine, and not on the list of allowed addresses")

    def check_ip(self, ip: str, host: str, port: int | None = None) -> None:
        """Raises AddressRefused when ``ip``, an address of ``host``, is neither public nor allowed.

        With ``port`` None only the entries without a port allow it.
        """
        address = _as_ip(ip)
        if address is None:
            _refuse(host, f"{ip!r} is not an IP address")
        if is_public(address) or self._allows_host(_plain_name(host), port):
            return
        inner = _embedded(address)
        for network, allowed_port in self._networks:
            if allowed_port in (None, port) and (address in network or inner in network):
                return
        where = host if _as_ip(host) is not None else f"{host} ({address})"
        _refuse(where, "it is not a public address, and not on the list of allowed addresses")

    def _allows_host(self, host: str, port: int | None) -> bool:
        return (host, None) in self._hosts or (host, port) in self._hosts


def default_port(scheme: str) -> int:
    """The port of a URL that names none: 443 for https, else 80."""
    return 443 if scheme == "https" else 80


def is_public(address: Address) -> bool:
    """Whether an address is one of the open internet.

    Follows IANA's registries of special-purpose addresses (RFC 6890), and looks at the IPv4
    address inside of mapped (RFC 4291), NAT64 (RFC 6052), 6to4 (RFC 3056) and Teredo (RFC 4380)
    addresses.
    """
    if isinstance(address, IPv4Address):
        return address.is_global and not address.is_multicast
    inner = _embedded(address)
    if inner is not address:
        return is_public(inner)
    if address.sixtofour is not None:
        return is_public(address.sixtofour)
    if address.teredo is not None:
        return all(is_public(part) for part in address.teredo)
    return address in _GLOBAL_UNICAST and address.is_global


def _embedded(address: Address) -> Address:
    """The IPv4 address that a mapped or NAT64 address stands for; else the address itself."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


def _as_ip(text: str) -> Address | None:
    """The IP address that a text spells; a scope such as ``%eth0`` is no part of it."""
    try:
        return ip_address(text.strip("[]").partition("%")[0])
    except ValueError:
        return None


def _plain_name(host: str) -> str:
    return host.lower().rstrip(".")


def _is_local_name(host: str) -> bool:
    """Names that RFC 6761, section 6.3, keeps for the machine itself."""
    name = _plain_name(host)
    return name == "localhost" or name.endswith(".localhost")


def _read_entry(entry: str) -> tuple[Network | str, int | None]:
    """A network or a host name, and the port that it is held to."""
    text = entry.strip()
    try:
        return ip_network(text, strict=False), None
    except ValueError:
        pass
    match = _ENTRY.fullmatch(text)
    port = int(match["port"]) if match and match["port"] else None
    if match is None or (port is not None and not 1 <= port <= 65_535):
        raise SettingsError(
            f"{entry!r} in the allowed addresses is not a host, host:port, IP address or network;"
            " write for example intranet, intranet:8080, 127.0.0.1:8080 or 10.2.0.0/16",
            entry=entry,
        )
    literal = _as_ip(match["host"])
    if literal is not None:
        return ip_network(literal), port
    return _plain_name(match["host"]), port


def _refuse(address: str, reason: str) -> NoReturn:
    raise AddressRefused(f"{address} is not called: {reason}", address=address, reason=reason)
