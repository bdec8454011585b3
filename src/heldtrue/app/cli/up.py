"""`heldtrue up`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from heldtrue.app import instance, logs, running
from heldtrue.app.running import Serving
from heldtrue.app.settings import load

Networks = Annotated[
    list[str] | None,
    typer.Option("--allow-destination", help="Let deliveries go to this private network, as 127.0.0.0/8; repeatable."),
]


def up(
    *,
    data_dir: Annotated[Path | None, typer.Option("--data-dir", help="Where everything is kept.")] = None,
    listen: Annotated[str | None, typer.Option(help="HOST:PORT, 127.0.0.1:8443 by default.")] = None,
    config: Annotated[
        Path | None, typer.Option(help="Settings; heldtrue.toml in the data directory by default.")
    ] = None,
    base_url: Annotated[str | None, typer.Option(help="The URL under which others reach this instance.")] = None,
    origin: Annotated[str | None, typer.Option(help="Name of the log, fixed at first start.")] = None,
    platform_key: Annotated[str | None, typer.Option(help="Where the platform key is, as file:/path.")] = None,
    database: Annotated[str | None, typer.Option(help="`embedded`, or a DSN by file:/path or env:NAME.")] = None,
    tls_cert: Annotated[str | None, typer.Option(help="PEM certificate chain; read again when it changes.")] = None,
    tls_key: Annotated[str | None, typer.Option(help="Its unencrypted PEM key.")] = None,
    allow_destination: Networks = None,
    destination_ca: Annotated[str | None, typer.Option(help="PEM authorities that destinations may use.")] = None,
    edge_listen: Annotated[
        str | None, typer.Option(help="A door for proxies: unix:/path, or HOST:PORT; see docs/guides/edge.md.")
    ] = None,
    edge_upstream: Annotated[str | None, typer.Option(help="An API for the built-in proxy to stand before.")] = None,
    edge_proxy_listen: Annotated[str | None, typer.Option(help="HOST:PORT of the built-in proxy.")] = None,
    trusted_proxy: Annotated[
        list[str] | None, typer.Option(help="Believe this proxy about clients: a network, or `unix`; repeatable.")
    ] = None,
    demo: Annotated[bool, typer.Option("--demo", help="Let `heldtrue demo` receive on 127.0.0.1.")] = False,
    no_claims: Annotated[bool, typer.Option("--no-claims", help="Attack nothing; claims turn stale.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log every request to standard error.")] = False,
) -> None:
    """Serve everything in one process tree until Ctrl-C."""
    path = data_dir or instance.default_data_dir()
    settings = load(
        config or path / "heldtrue.toml",
        {
            "listen": listen,
            "base_url": base_url,
            "origin": origin,
            "platform_key": platform_key,
            "database": database,
            "tls_cert": tls_cert,
            "tls_key": tls_key,
            "destinations.allow": tuple(allow_destination or ()),
            "destinations.ca_file": destination_ca,
            "claims": False if no_claims else None,
            "edge.listen": edge_listen,
            "edge.upstream": edge_upstream,
            "edge.proxy_listen": edge_proxy_listen,
            "edge.trusted_proxies": tuple(trusted_proxy or ()),
        },
        required=config is not None,
    )
    logs.configure(verbose=verbose)
    console = Console(highlight=False, soft_wrap=True)

    def say(text: str) -> None:
        console.print(f"[dim]{escape(text)}[/]")

    def announce(serving: Serving) -> None:
        for line in greeting(serving):
            console.print(line)

    raise typer.Exit(running.up(settings, path, demo=demo, say=say, serving=announce))


def greeting(serving: Serving) -> list[str]:
    """Return what is printed when the instance serves; at the first start five lines say what to do next."""
    said = [f"[bold]Heldtrue serves {escape(serving.url)}[/]  data in {escape(str(serving.data))}. Stop with Ctrl-C."]
    said += [escape(door) for door in serving.doors]
    if not serving.first:
        return said
    ca = f" --ca-file {escape(str(serving.ca_file))}" if serving.ca_file else ""
    demo = f"heldtrue demo --data-dir {escape(str(serving.data))}"
    if not serving.demo:
        demo += "   (after a start with `heldtrue up --demo`)"
    return [
        *said,
        f"  1  Look         {escape(serving.url)}/trust   and the API at /docs",
        f"  2  Trust        {escape(str(serving.ca_file or 'your own certificate'))}   vouches for this address",
        f"  3  Keep safe    {escape(str(serving.operator_file or 'the operator key'))}   beside the platform key",
        f"  4  See it work  {demo}",
        f"  5  Check it     heldtrue-verify page {escape(serving.url)} --pin {escape(serving.pin)}{ca}",
    ]
