"""Every network socket that this instance opens, as its settings say: the one table of listeners.

What is attacked for its TLS, what `heldtrue ports` prints and what its firewall rules let through is read from here.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from heldtrue.app.settings import Settings
from heldtrue.app.settings_edge import host_and_port


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """One network socket."""

    what: str
    """`api`, `door`, `proxy`, `mail` or `mail over TLS`."""
    setting: str
    """The setting that opens it."""
    host: str
    port: int
    name: str
    """The name that its certificate is for."""
    starttls: bool = False
    clear: bool = False

    @property
    def speaks(self) -> str:
        """What is spoken there, in words."""
        if self.starttls:
            return "SMTP, TLS after STARTTLS"
        if self.clear:
            return "HTTP in clear, on loopback only"
        return "SMTP over TLS" if self.what == "mail over TLS" else "HTTPS"

    @property
    def outside(self) -> bool:
        """Whether other machines can reach it."""
        try:
            return not ip_address(self.host).is_loopback
        except ValueError:
            return self.host != "localhost"


def declared(settings: Settings) -> tuple[Listener, ...]:
    """Return the listeners of *settings*; unix sockets are none."""
    host, port = settings.address
    public = urlsplit(settings.public_url).hostname or host
    found = [Listener(what="api", setting="listen", host=host, port=port, name=public)]
    edge, mail = settings.edge, settings.mail
    if edge.listen is not None and not edge.listen.startswith("unix:"):
        place = host_and_port("edge.listen", edge.listen)
        clear = edge.client_ca is None
        found.append(
            Listener(what="door", setting="edge.listen", host=place[0], port=place[1], name=public, clear=clear)
        )
    if edge.proxy_listen is not None:
        place = host_and_port("edge.proxy_listen", edge.proxy_listen)
        name = (edge.public_host or public).partition(":")[0]
        found.append(Listener(what="proxy", setting="edge.proxy_listen", host=place[0], port=place[1], name=name))
    name = mail.hostname or mail.domain or public
    for what, setting, text in (("mail", "listen", mail.listen), ("mail over TLS", "implicit_tls", mail.implicit_tls)):
        if text is not None:
            place = host_and_port(f"mail.{setting}", text)
            starttls = setting == "listen"
            found.append(
                Listener(
                    what=what, setting=f"mail.{setting}", host=place[0], port=place[1], name=name, starttls=starttls
                )
            )
    return tuple(found)


def firewall(listeners: tuple[Listener, ...], *, ssh: int | None = None) -> str:
    """Return an nftables table that lets in what is declared, and nothing else; *ssh* keeps your own way in."""
    ports = sorted({one.port for one in listeners if one.outside} | ({ssh} if ssh is not None else set()))
    allowed = f"    tcp dport {{ {', '.join(map(str, ports))} }} accept\n" if ports else ""
    return (
        "#!/usr/sbin/nft -f\n"
        "# Lets in what the settings of this instance open, and nothing else. Try it with: nft -c -f FILE\n"
        "table inet heldtrue\n"
        "delete table inet heldtrue\n"
        "table inet heldtrue {\n"
        "  chain input {\n"
        "    type filter hook input priority filter; policy drop;\n"
        '    iifname "lo" accept\n'
        "    ct state established,related accept\n"
        "    ct state invalid drop\n"
        "    meta l4proto { icmp, ipv6-icmp } accept\n"
        f"{allowed}"
        "  }\n"
        "}\n"
    )
