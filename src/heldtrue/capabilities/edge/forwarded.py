"""Who is at the far end: forwarding headers, believed only from proxies that the operator named.

`X-Forwarded-For` and `Forwarded` (RFC 7239) are lists that grow to the right; each proxy vouches for the entry it
added, and for nothing to the left of it. So the list is read from the right, past our own proxies, and the first
foreign address is the client. What a stranger wrote further left is never looked at.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import NamedTuple, Self

from heldtrue.http.exchange import MalformedRequestError
from heldtrue.kernel.errors import DeniedError, SettingsError

UNIX = "unix"
"""In the list of trusted proxies: whoever may open the door's unix socket."""
MOST_HOPS = 32
MOST_REMEMBERED = 4096
_FOR = re.compile(r'(?:^|;)\s*for\s*=\s*("(?:[^"\\]|\\.)*"|[^;,"\s]+)\s*(?=;|$)', re.IGNORECASE)
_BRACKETED = re.compile(r"\[([^\]]+)\](?::[0-9]{1,5})?")
_WITH_PORT = re.compile(r"([0-9.]+):[0-9]{1,5}")


class AmbiguousForwardingError(MalformedRequestError):
    """The forwarding headers contradict each other or name no address; set one of them in the proxy, drop the rest."""

    code = "ambiguous-forwarding"


class UntrustedPeerError(DeniedError):
    """The door answers only the proxies that the operator named in `edge.trusted_proxies`; ask the operator."""

    code = "untrusted-peer"


class Forwarding(NamedTuple):
    """What forwarding headers came, each with its values in the order they came in."""

    x_forwarded_for: Sequence[str] = ()
    forwarded: Sequence[str] = ()
    x_real_ip: Sequence[str] = ()

    def __bool__(self) -> bool:
        return bool(self.x_forwarded_for or self.forwarded or self.x_real_ip)


@dataclass(frozen=True, slots=True)
class TrustedProxies:
    """The proxies whose word about a client's address is taken."""

    networks: tuple[IPv4Network | IPv6Network, ...]
    unix: bool
    _known: dict[str, bool] = field(default_factory=dict[str, bool], compare=False, repr=False)
    _told: dict[tuple[object, ...], str] = field(
        default_factory=dict[tuple[object, ...], str], compare=False, repr=False
    )

    @classmethod
    def parse(cls, entries: Sequence[str]) -> Self:
        """Return what a setting names: networks, and `unix`; raise `SettingsError` for none, or for everybody."""
        if not entries:
            raise SettingsError(
                "edge.trusted_proxies is empty",
                advice='Name your proxies: "unix" for a unix socket, or their networks, as ["10.0.0.5/32"].',
            )
        networks: list[IPv4Network | IPv6Network] = []
        for entry in entries:
            if entry == UNIX:
                continue
            try:
                network = ip_network(entry)
            except ValueError as error:
                raise SettingsError(
                    f"edge.trusted_proxies: {entry!r} is not a network: {error}",
                    advice='Write it as "10.0.0.5/32", or "unix" for whoever may open the unix socket.',
                ) from error
            if network.prefixlen == 0:
                raise SettingsError(
                    f"edge.trusted_proxies: {entry} is everybody, who could then claim any address",
                    advice="Name the networks that your proxies are in, and no others.",
                )
            networks.append(network)
        return cls(tuple(networks), UNIX in entries)

    def trust(self, peer: str) -> bool:
        """Return whether *peer*, an address or "" for a unix socket, is one of them."""
        if not peer:
            return self.unix
        known = self._known.get(peer)
        if known is None:
            if len(self._known) >= MOST_REMEMBERED:
                self._known.clear()
            known = self._known[peer] = self._look(peer)
        return known

    def client(self, peer: str, said: Forwarding) -> str:
        """Return the client's address; "" where a trusted proxy does not tell it.

        What a peer says that is not trusted is ignored: it is the client itself. Raise `AmbiguousForwardingError` when
        a trusted proxy passes on what cannot be read, or two headers that name different clients.
        """
        asked = (peer, *said.x_forwarded_for, None, *said.forwarded, None, *said.x_real_ip)
        known = self._told.get(asked)
        if known is None:
            known = self._client(peer, said)
            if len(self._told) >= MOST_REMEMBERED:
                self._told.clear()
            self._told[asked] = known
        return known

    def _client(self, peer: str, said: Forwarding) -> str:
        if not self.trust(peer):
            address = _address(peer)
            return "" if address is None else str(address)
        found = {self._rightmost(hops) for hops in _lists(said)}
        if len(found) > 1:
            raise AmbiguousForwardingError("The forwarding headers name different clients.")
        return found.pop() if found else ""

    def _rightmost(self, hops: Sequence[str]) -> str:
        if not hops or len(hops) > MOST_HOPS:
            raise AmbiguousForwardingError(f"A forwarding header names no hop, or more than {MOST_HOPS}.")
        address = None
        for hop in reversed(hops):
            address = _address(hop)
            if address is None:
                raise AmbiguousForwardingError("A forwarding header names a hop that is no address.")
            if not self.trust(str(address)):
                break
        return str(address)

    def _look(self, peer: str) -> bool:
        address = _address(peer)
        return address is not None and any(address in network for network in self.networks)


def _lists(said: Forwarding) -> list[list[str]]:
    lists: list[list[str]] = []
    if said.x_forwarded_for:
        lists.append([hop.strip() for line in said.x_forwarded_for for hop in line.split(",")])
    if said.forwarded:
        lists.append([_node(element) for line in said.forwarded for element in _elements(line)])
    if said.x_real_ip:
        if len(said.x_real_ip) > 1:
            raise AmbiguousForwardingError("X-Real-IP came twice.")
        lists.append([said.x_real_ip[0].strip()])
    return lists


def _elements(line: str) -> list[str]:
    """Return the comma-separated elements of a `Forwarded` line; a comma in quotes does not separate."""
    return re.findall(r'(?:[^,"]|"(?:[^"\\]|\\.)*"?)+|(?<=,)(?=,|$)|^(?=,|$)', line)


def _node(element: str) -> str:
    """Return the `for` of an element (RFC 7239, section 5.2), unquoted; "" where there is none, or two."""
    found = _FOR.findall(element.strip())
    return found[0].strip('"') if len(found) == 1 else ""


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """Return the address in *text*, which may bear a port or brackets; None for anything else."""
    with_port = _BRACKETED.fullmatch(text) or _WITH_PORT.fullmatch(text)
    try:
        address = ip_address(with_port[1] if with_port else text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:
            return None
        return address.ipv4_mapped or address
    return address
