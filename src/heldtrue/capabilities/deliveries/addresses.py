"""Judge the addresses that a delivery may connect to, by an explicit list.

The standard library's `is_global` lets through NAT64, 6to4, multicast and the metadata services of clouds; so the
blocked networks are written out here, each with its register entry. IPv6 is allowed only inside 2000::/3, the space
that is assigned for global unicast, minus what is blocked within it.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import ClassVar

from heldtrue.kernel.errors import BadInputError, SettingsError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

BLOCKED: tuple[tuple[str, str], ...] = (
    ("0.0.0.0/8", "this network (RFC 791)"),
    ("10.0.0.0/8", "private (RFC 1918)"),
    ("100.64.0.0/10", "carrier-grade NAT (RFC 6598)"),
    ("127.0.0.0/8", "loopback (RFC 1122)"),
    ("169.254.0.0/16", "link-local, cloud metadata (RFC 3927)"),
    ("172.16.0.0/12", "private (RFC 1918)"),
    ("192.0.0.0/24", "protocol assignments (RFC 6890)"),
    ("192.0.2.0/24", "documentation (RFC 5737)"),
    ("192.31.196.0/24", "AS112 (RFC 7535)"),
    ("192.52.193.0/24", "automatic multicast tunnelling (RFC 7450)"),
    ("192.88.99.0/24", "6to4 relay anycast (RFC 7526)"),
    ("192.168.0.0/16", "private (RFC 1918)"),
    ("192.175.48.0/24", "AS112 (RFC 7534)"),
    ("198.18.0.0/15", "benchmarking (RFC 2544)"),
    ("198.51.100.0/24", "documentation (RFC 5737)"),
    ("203.0.113.0/24", "documentation (RFC 5737)"),
    ("224.0.0.0/4", "multicast (RFC 5771)"),
    ("240.0.0.0/4", "reserved (RFC 1112)"),
    ("255.255.255.255/32", "limited broadcast (RFC 919)"),
    ("168.63.129.16/32", "cloud platform service (Azure wire server)"),
    ("100.100.100.200/32", "cloud metadata (Alibaba)"),
    ("192.0.0.192/32", "cloud metadata (Oracle)"),
    ("::/128", "unspecified (RFC 4291)"),
    ("::1/128", "loopback (RFC 4291)"),
    ("::/96", "IPv4-compatible (RFC 4291)"),
    ("::ffff:0:0/96", "IPv4-mapped (RFC 4291)"),
    ("::ffff:0:0:0/96", "IPv4-translated (RFC 2765)"),
    ("64:ff9b::/96", "NAT64 (RFC 6052)"),
    ("64:ff9b:1::/48", "local NAT64 (RFC 8215)"),
    ("100::/64", "discard (RFC 6666)"),
    ("100:0:0:1::/64", "dummy prefix (RFC 9780)"),
    ("2001::/32", "Teredo (RFC 4380)"),
    ("2001::/23", "protocol assignments (RFC 2928)"),
    ("2001:2::/48", "benchmarking (RFC 5180)"),
    ("2001:db8::/32", "documentation (RFC 3849)"),
    ("2001:10::/28", "ORCHID (RFC 4843)"),
    ("2001:20::/28", "ORCHIDv2 (RFC 7343)"),
    ("2002::/16", "6to4 (RFC 3056)"),
    ("2620:4f:8000::/48", "AS112 (RFC 7534)"),
    ("3fff::/20", "documentation (RFC 9637)"),
    ("3ffe::/16", "6bone, returned (RFC 3701)"),
    ("5f00::/16", "segment routing (RFC 9602)"),
    ("fc00::/7", "unique local (RFC 4193)"),
    ("fd00:ec2::254/128", "cloud metadata (AWS)"),
    ("fd20:ce::254/128", "cloud metadata (Google)"),
    ("fe80::/10", "link-local (RFC 4291)"),
    ("fec0::/10", "site-local (RFC 3879)"),
    ("ff00::/8", "multicast (RFC 4291)"),
)
"""Networks that no delivery enters, with the reason; the longest matching prefix names it."""

_BLOCKED: tuple[tuple[Network, str], ...] = tuple(
    sorted(((ip_network(text), why) for text, why in BLOCKED), key=lambda entry: -entry[0].prefixlen)
)
_CARRIERS = tuple(IPv6Network(text) for text in ("::/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48"))
_GLOBAL_UNICAST = IPv6Network("2000::/3")


class RefusedAddressError(BadInputError):
    """The address belongs to a network that deliveries never enter; use a public address."""

    code = "refused-address"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is thought of one address."""

    permitted: bool
    listed: bool
    """Permitted only because the operator's allow list names it."""
    reason: str


@dataclass(frozen=True, slots=True)
class AllowList:
    """Inner networks that the operator opened to deliveries; empty by default."""

    networks: tuple[Network, ...] = field(default=())
    NEVER: ClassVar[tuple[Network, ...]] = tuple(
        ip_network(text)
        for text in (
            "169.254.0.0/16",
            "fd00:ec2::254/128",
            "fd20:ce::254/128",
            "100.100.100.200/32",
            "192.0.0.192/32",
            "168.63.129.16/32",
            "224.0.0.0/4",
            "ff00::/8",
            "255.255.255.255/32",
            "0.0.0.0/8",
            "::/128",
        )
    )
    """Cloud metadata, multicast and broadcast stay closed whatever the list says."""

    @classmethod
    def parse(cls, texts: Iterable[str]) -> AllowList:
        """Return the list of these networks in CIDR form; raise `SettingsError` for anything else."""
        networks: list[Network] = []
        for text in texts:
            try:
                networks.append(ip_network(text))
            except ValueError as error:
                raise SettingsError(
                    f"{text!r} in the allow list of deliveries is no network: {error}",
                    advice="Write CIDR networks without host bits, as 127.0.0.0/8.",
                ) from error
        return cls(tuple(networks))

    def names(self, address: Address) -> bool:
        """Return whether the list opens *address*; an IPv4 address within it is asked about too."""
        for meant in (address, *_embedded(address)):
            if any(meant in network for network in self.NEVER if network.version == meant.version):
                return False
        return any(address in network for network in self.networks if network.version == address.version)


@functools.lru_cache(maxsize=4096)
def judge(address: Address, allow: AllowList) -> Verdict:
    """Return whether a delivery may connect to *address*; an IPv4-mapped address is judged as what it maps to."""
    address = unmapped(address)
    for network, why in _BLOCKED:
        if network.version == address.version and address in network:
            if allow.names(address):
                return Verdict(permitted=True, listed=True, reason=f"allowed by the operator although {why}")
            return Verdict(permitted=False, listed=False, reason=why)
    if isinstance(address, IPv6Address) and address not in _GLOBAL_UNICAST:
        if allow.names(address):
            return Verdict(permitted=True, listed=True, reason="allowed by the operator although not global unicast")
        return Verdict(permitted=False, listed=False, reason="outside global unicast (RFC 4291)")
    return Verdict(permitted=True, listed=False, reason="public")


def _embedded(address: Address) -> tuple[IPv4Address, ...]:
    """Return the IPv4 addresses that a gateway would make of *address*: compatible, translated, NAT64, 6to4, Teredo."""
    if isinstance(address, IPv4Address):
        return ()
    if address.sixtofour is not None:
        return (address.sixtofour,)
    if address.teredo is not None:
        return address.teredo
    low = IPv4Address(int(address) & 0xFFFFFFFF)
    return (low,) if any(address in network for network in _CARRIERS) else ()


def unmapped(address: Address) -> Address:
    """Return the IPv4 address inside an IPv4-mapped one, which the kernel connects to; others as they are."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def parse_address(text: str) -> Address | None:
    """Return the address that *text* writes, scope and brackets removed; None when it is a name."""
    try:
        return ip_address(text.strip("[]").split("%", 1)[0])
    except ValueError:
        return None
