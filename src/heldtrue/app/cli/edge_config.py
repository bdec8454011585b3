"""`heldtrue edge config`: a hardened configuration for the proxy in front of the door."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated

import typer

from heldtrue.app import instance
from heldtrue.app.settings import Settings, load
from heldtrue.capabilities.edge.proxyconfig import Parameters, render
from heldtrue.capabilities.edge.proxyconfig.parameters import (
    Caps,
    DoorTls,
    Timeouts,
    UnusableParameterError,
    parse_door,
    parse_upstream,
)
from heldtrue.kernel.errors import BadInputError, ConflictError

KINDS = ("nginx", "caddy", "traefik", "envoy")
DOOR = "unix:/run/heldtrue/edge.sock"
"""Where the door is when neither an option nor the settings say."""
_SIZE = re.compile(r"([0-9]{1,12})([kmg]?)", re.IGNORECASE)
_UNITS = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3}


class FileThereError(ConflictError):
    """There is a file of that name already, perhaps edited; look at it, then write over it with --force."""

    code = "file-there"


def config_command(group: typer.Typer) -> None:
    """Add `config` to the commands of *group*."""
    group.command("config")(config)


def config(
    kind: Annotated[str, typer.Argument(help="nginx, caddy, traefik or envoy.", metavar="KIND")],
    *,
    public_host: Annotated[str | None, typer.Option(help="The name that clients use, as api.example.com.")] = None,
    upstream: Annotated[str | None, typer.Option(help="The API behind it, as http://127.0.0.1:3000.")] = None,
    door: Annotated[str | None, typer.Option(help="Where the door is: unix:/path, or HOST:PORT.")] = None,
    door_ca: Annotated[str | None, typer.Option(help="PEM authority of a door on another machine.")] = None,
    door_cert: Annotated[str | None, typer.Option(help="PEM certificate that the proxy shows to that door.")] = None,
    door_key: Annotated[str | None, typer.Option(help="Its PEM key.")] = None,
    cert: Annotated[str | None, typer.Option(help="PEM certificate chain for the public name.")] = None,
    key: Annotated[str | None, typer.Option(help="Its PEM key.")] = None,
    listen: Annotated[str, typer.Option(help="Address to listen on; every one by default.")] = "",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 443,
    redirect: Annotated[bool, typer.Option("--redirect", help="Answer on port 80 too, with a redirect.")] = False,
    body_limit: Annotated[str, typer.Option(help="Largest request body, as 1m or 512k.")] = "1m",
    connections: Annotated[int, typer.Option(help="Connections at once from one address (not Caddy, Envoy).")] = 100,
    rate: Annotated[int, typer.Option(help="Requests a second from one address (nginx, Traefik).")] = 200,
    no_waf: Annotated[bool, typer.Option("--no-waf", help="nginx without ModSecurity and the core rule set.")] = False,
    out: Annotated[Path | None, typer.Option(help="Write here instead of to standard output.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
    data_dir: Annotated[Path | None, typer.Option("--data-dir", help="The instance's data directory.")] = None,
    settings_file: Annotated[
        Path | None, typer.Option("--config", help="Its settings, when not the usual file.")
    ] = None,
) -> None:
    """Write a hardened configuration for nginx, Caddy, Traefik or Envoy, with the door in front of every location.

    What is not given is taken from the settings of the instance on this machine, when there is one.
    """
    if kind not in KINDS:
        raise BadInputError(f"there is no configuration for {kind!r}", advice=f"Choose one of {', '.join(KINDS)}.")
    known = _settings(data_dir, settings_file)
    place, upstream_tls = parse_upstream(_needed("upstream", upstream, known.edge.upstream))
    parameters = Parameters(
        public_host=_needed("public-host", public_host, known.edge.public_host).partition(":")[0],
        upstream=place,
        upstream_tls=upstream_tls,
        door=parse_door(door or known.edge.listen or DOOR),
        door_tls=_door_tls(door_ca, door_cert, door_key),
        cert=cert or known.tls_cert,
        key=key or known.tls_key,
        listen=listen,
        port=port,
        redirect=redirect,
        waf=kind == "nginx" and not no_waf,
        caps=Caps(body_bytes=_size(body_limit), connections=connections, requests_per_second=rate, burst=2 * rate),
        timeouts=Timeouts(),
    )
    _write(render(kind, parameters), out, force=force)


def _settings(data_dir: Path | None, file: Path | None) -> Settings:
    return load(file or (data_dir or instance.default_data_dir()) / "heldtrue.toml", {}, required=file is not None)


def _needed(name: str, given: str | None, known: str | None) -> str:
    value = given or known
    if not value:
        raise UnusableParameterError(
            f"--{name} is not given", advice=f"Give --{name}, or set edge.{name.replace('-', '_')} in heldtrue.toml."
        )
    return value


def _door_tls(ca: str | None, cert: str | None, key: str | None) -> DoorTls | None:
    if ca and cert and key:
        return DoorTls(ca=ca, cert=cert, key=key)
    if ca or cert or key:
        raise UnusableParameterError("--door-ca, --door-cert and --door-key go together", advice="Give all three.")
    return None


def _size(text: str) -> int:
    match = _SIZE.fullmatch(text)
    if match is None:
        raise UnusableParameterError(f"body-limit = {text!r} is not a size", advice="Write it as 1m, 512k or 1048576.")
    return int(match[1]) * _UNITS[match[2].lower()]


def _write(text: str, out: Path | None, *, force: bool) -> None:
    """Print *text*, or write it to *out* at once and whole; a file that is there stays unless *force*."""
    if out is None:
        typer.echo(text, nl=False)
        return
    if not force:
        try:
            with out.open("x") as file:
                file.write(text)
        except FileExistsError as error:
            raise FileThereError(
                f"{out} is there already, perhaps edited", advice="Look at it, then write over it with --force."
            ) from error
    else:
        beside = out.with_name(f".{out.name}.{os.getpid()}")
        beside.write_text(text)
        beside.replace(out)
    typer.echo(f"{out} is written; its first lines say how to install and test it.", err=True)
