"""`heldtrue ports`: what listens, as the settings declare it, and the firewall rules that let nothing else in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from heldtrue.app.cli.session import Session
from heldtrue.app.declared import declared, firewall
from heldtrue.app.maintenance import settings_of
from heldtrue.kernel.errors import BadInputError


def ports(
    session: Session,
    config: Annotated[Path | None, typer.Option(help="The settings, when not the usual file.")] = None,
    *,
    nftables: Annotated[
        bool, typer.Option("--nftables", help="Print firewall rules that let in what is declared, and nothing else.")
    ] = False,
    ssh: Annotated[
        int | None, typer.Option(help="With --nftables: keep this port open for your own way in.", min=1, max=65535)
    ] = None,
) -> None:
    """List the network sockets that the settings open, and who can reach them."""
    if ssh is not None and not nftables:
        raise BadInputError("--ssh is for firewall rules", advice="Give --nftables too.")
    found = declared(settings_of(session.data, config))
    if nftables:
        typer.echo(firewall(found, ssh=ssh), nl=False)
        return
    session.out.rows(
        [
            {
                "what": one.what,
                "host": one.host,
                "port": one.port,
                "speaks": one.speaks,
                "reached_from": "elsewhere" if one.outside else "this machine",
                "setting": one.setting,
            }
            for one in found
        ],
        ["what", "host", "port", "speaks", "reached_from", "setting"],
        empty="",
    )
