"""From parameters to the text of a configuration. Pure: the same parameters give the same bytes."""

from __future__ import annotations

import json
import re
from http import HTTPStatus

import jinja2

from heldtrue.capabilities.edge.identity import IDENTITY_HEADERS
from heldtrue.capabilities.edge.proxyconfig.parameters import Kind, Parameters, Place, UnusableParameterError

CIPHERS = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
)
"""For TLS 1.2: forward secrecy and authenticated encryption only (RFC 9325, section 4.2). Those of 1.3 are all good."""
HSTS = "max-age=63072000; includeSubDomains"
FORGEABLE = (
    "Forwarded",
    "X-Real-IP",
    "X-Client-IP",
    "X-Cluster-Client-IP",
    "True-Client-IP",
    "CF-Connecting-IP",
    "X-Forwarded",
    "X-Forwarded-By",
    "X-Forwarded-Port",
    "X-Forwarded-Prefix",
    "X-Forwarded-Server",
    "X-Forwarded-Uri",
    "X-Forwarded-Method",
    "X-Forwarded-User",
    "X-Rewrite-URL",
)
"""What only a proxy may say, and so a client may not."""
OVERRIDING = (
    "X-Original-Host",
    "X-Original-URI",
    "X-Original-URL",
    "X-Original-Method",
    "X-HTTP-Method",
    "X-HTTP-Method-Override",
    "X-Method-Override",
    "Proxy",
    "Heldtrue-Status",
    "Heldtrue-Problem",
)
"""What would make an upstream do something else than was judged."""
UNDECIDED = "Whether the request may pass could not be decided, so it was refused; try again shortly."
REFUSALS = (
    ("malformed", 400, "The request is not well-formed HTTP, or its target is ambiguous."),
    ("unknown", 404, "There is nothing at this address that may be asked for."),
    ("method", 405, "This method is not one that may be used here."),
    ("slow", 408, "The request took too long to arrive."),
    ("too_large", 413, "The body is over the limit."),
    ("header_too_large", 431, "The request line or a header is over the limit."),
    ("flood", 429, "Too many requests from this address at once; wait a second."),
    ("undecided", 503, UNDECIDED),
    ("unsupported", 501, "This version or transfer coding of HTTP is not supported here."),
    ("away", 502, "The request was broken off, or the service behind the edge did not answer."),
)
"""What the proxy refuses by itself: name, status, sentence."""
RESTORED = (400, 401, 404, 405, 413, 429, 500, 503)
"""Statuses of a door that nginx has to be told apart from 403."""
_INDENT = re.compile(r"(?m)^ +")
_BLANK = re.compile(r"\n{3,}")
_TEMPLATES: dict[Kind, str] = {
    "nginx": "nginx.conf.j2",
    "caddy": "Caddyfile.j2",
    "traefik": "traefik.yaml.j2",
    "envoy": "envoy.yaml.j2",
}
_ENVIRONMENT = jinja2.Environment(
    loader=jinja2.PackageLoader("heldtrue.capabilities.edge.proxyconfig", "templates"),
    undefined=jinja2.StrictUndefined,
    autoescape=False,  # noqa: S701 - no markup; every parameter was checked before it comes here
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    auto_reload=False,
)


def render(kind: Kind, parameters: Parameters) -> str:
    """Return the configuration of *kind*; raise `UnusableParameterError` for what this proxy cannot do."""
    _refuse(kind, parameters)
    words = _words(parameters)
    if kind == "nginx":
        words["rules"] = _ENVIRONMENT.get_template("modsecurity.rules.j2").render(words).rstrip()
    text = _ENVIRONMENT.get_template(_TEMPLATES[kind]).render(words)
    if kind == "caddy":
        text = _INDENT.sub(lambda spaces: "\t" * (len(spaces[0]) // 4), text)  # as `caddy fmt` wants it
    return _BLANK.sub("\n\n", "\n".join(line.rstrip() for line in text.splitlines())).strip() + "\n"


def problem(status: int, detail: str) -> str:
    """Return a problem document (RFC 9457, section 4.2.1: without a type its title is the status's own)."""
    document = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    return json.dumps(document, separators=(",", ":"))


def _refuse(kind: Kind, parameters: Parameters) -> None:
    if kind == "traefik" and parameters.door.is_unix:
        raise UnusableParameterError(
            "Traefik asks its door over TCP, not over a unix socket",
            advice="Let the door listen on 127.0.0.1:8444 (`edge.listen`) and give --door 127.0.0.1:8444.",
        )
    if kind == "traefik" and parameters.upstream.is_unix:
        raise UnusableParameterError(
            "Traefik has no upstreams on unix sockets", advice="Give --upstream http://HOST:PORT."
        )
    if kind != "caddy" and parameters.cert is None:
        raise UnusableParameterError(
            f"{kind} needs a certificate",
            advice="Give --cert and --key; only Caddy can get its own.",
        )


def _words(p: Parameters) -> dict[str, object]:
    """Return everything that the templates name."""
    return {
        "p": p,
        "host": p.public_host if p.port == 443 else f"{p.public_host}:{p.port}",
        "listen": f"{p.listen}:{p.port}" if p.listen else str(p.port),
        "redirect_listen": f"{p.listen}:80" if p.listen else "80",
        "door": _server(p.door),
        "door_address": f"unix/{p.door.path}" if p.door.is_unix else p.door.authority,
        "door_scheme": "http" if p.door_tls is None else "https",
        "upstream": _server(p.upstream),
        "upstream_address": f"unix/{p.upstream.path}" if p.upstream.is_unix else p.upstream.authority,
        "upstream_scheme": "https" if p.upstream_tls else "http",
        "ciphers": ":".join(CIPHERS),
        "cipher_list": CIPHERS,
        "go_ciphers": [_go_name(cipher) for cipher in CIPHERS],
        "hsts": HSTS,
        "identity": [name.title() for name in IDENTITY_HEADERS],
        "forgeable": FORGEABLE,
        "overriding": OVERRIDING,
        "restored": RESTORED,
        "undecided": problem(503, UNDECIDED),
        "refusals": [(name, status, problem(status, detail)) for name, status, detail in REFUSALS],
        "problem": problem,
        "no_waf": "        modsecurity off;" if p.waf else "",
    }


def _server(place: Place) -> str:
    return f"unix:{place.path}" if place.is_unix else place.authority


def _go_name(cipher: str) -> str:
    """Return the IANA name of an OpenSSL cipher suite, as programs written in Go want it."""
    exchange, signature, rest = cipher.split("-", 2)
    rest = re.sub(r"^AES(?=[0-9])", "AES-", rest) if rest.startswith("AES") else f"{rest}-SHA256"
    return f"TLS-{exchange}-{signature}-WITH-{rest}".replace("-", "_")
