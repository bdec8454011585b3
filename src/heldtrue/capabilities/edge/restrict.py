"""From where a key may be used: web origins and networks, parsed once."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network

_WILD = "https://*."


class Origins:
    """Web origins (RFC 6454): exact ones, and `https://*.example.com`, where `*` is one label."""

    __slots__ = ("_exact", "_parents")

    def __init__(self, origins: Iterable[str]) -> None:
        given = tuple(origins)
        self._exact = frozenset(one for one in given if not one.startswith(_WILD))
        self._parents = frozenset(one.removeprefix(_WILD) for one in given if one.startswith(_WILD))

    def admit(self, origin: str | None) -> bool:
        """Return whether *origin*, as a browser sends it, is among them; None and `null` never are."""
        if origin is None:
            return False
        if origin in self._exact:
            return True
        scheme, _, host = origin.partition("://")
        label, _, parent = host.partition(".")
        return scheme == "https" and label not in {"", "*"} and parent in self._parents


class Networks:
    """Networks that an address may be of; IPv4 in IPv6 clothes (RFC 4291, section 2.5.5.2) is IPv4."""

    __slots__ = ("_networks",)

    def __init__(self, networks: Iterable[str]) -> None:
        parsed = [ip_network(one) for one in networks]
        self._networks = tuple((one.version, int(one.network_address), int(one.netmask)) for one in parsed)

    def admit(self, address: str) -> bool:
        """Return whether *address* is in one of them; what is no address never is."""
        found = _parsed(address)
        if found is None:
            return False
        version, number = found
        return any(version == of and number & mask == base for of, base, mask in self._networks)


@lru_cache(maxsize=8192)
def _parsed(text: str) -> tuple[int, int] | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.version, int(address)
