"""Prepare a probe from the operator's file and carry it out: secrets by URI, one host, within the rules."""

from __future__ import annotations

import asyncio
import ssl
import time
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from heldtrue.app.secret_uri import resolve_secret
from heldtrue.app.version import RELEASE
from heldtrue.capabilities.probe import inventory, plan
from heldtrue.capabilities.probe.file import ProbeFile, parse
from heldtrue.capabilities.probe.inventory import ApiRoute
from heldtrue.capabilities.probe.model import Ended, ProbeInputError, ProbeStoppedError, RouteResult
from heldtrue.capabilities.probe.plan import RoutePlan
from heldtrue.capabilities.probe.report import Report
from heldtrue.capabilities.probe.runner import Run
from heldtrue.capabilities.probe.sender import Pace, Request, Rules, Sender
from heldtrue.capabilities.probe.values import Value, Values
from heldtrue.capabilities.probe.wallet import Wallet, Who
from heldtrue.kernel.clock import Clock
from heldtrue.kernel.secret import Secret

AGENT = f"heldtrue-probe/{RELEASE}"


@dataclass(frozen=True, slots=True)
class Prepared:
    """A probe that is ready to start: nothing was sent but, from a URL, for the list of routes."""

    file: ProbeFile
    routes: list[ApiRoute]
    wallet: Wallet
    rules: Rules
    tls: ssl.SSLContext | None

    def plan(self) -> list[RoutePlan]:
        """Return what would be sent; values that are found by asking stand as placeholders."""
        asked = {name: Value(f"({name} of a)", f"({name} of b)") for name, one in self.file.parameters.items()
                 if one.discover is not None}  # fmt: skip
        return plan.plan(self.routes, self.file, Values.of(self.file, asked), self.rules.methods, self.wallet.has)


def read_file(path: Path) -> ProbeFile:
    """Return the probe's file; raise `ProbeInputError` where it cannot be used."""
    try:
        return parse(tomllib.loads(path.read_text()))
    except OSError as error:
        raise ProbeInputError(f"{path} cannot be read: {error.strerror}", advice="Check --file.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ProbeInputError(f"{path} is not TOML: {error}", advice="Correct the line that is named.") from error


def prepare(source: str, path: Path, file: ProbeFile, rules: Rules) -> Prepared:
    """Resolve credentials and read the routes from *source*: a file, or a URL on the target's own host."""
    here = path.absolute().parent
    wallet = Wallet.of(file.send, _credentials(file, here))
    tls = _tls(file, here)
    text = _fetched(source, file, wallet, rules, tls) if "://" in source else _read(Path(source))
    return Prepared(file, inventory.read(text), wallet, rules, tls)


def carry_out(prepared: Prepared, clock: Clock, told: Callable[[RouteResult], None]) -> Report:
    """Run the probe and return its report; *told* hears of each route as it is done."""
    return asyncio.run(_carry_out(prepared, clock, told))


async def _carry_out(prepared: Prepared, clock: Clock, told: Callable[[RouteResult], None]) -> Report:
    started = clock.now()
    pace = Pace(prepared.rules.rate, time.monotonic)
    async with Sender(prepared.file.base, prepared.rules, pace, prepared.tls) as sender:
        run = Run(prepared.file, prepared.routes, prepared.wallet, sender, told)
        results = await run.go()
        return Report(
            target=prepared.file.base, started_at=started, finished_at=clock.now(), requests=sender.sent,
            ended=sender.ended, results=results, version=RELEASE,
        )  # fmt: skip


def _credentials(file: ProbeFile, here: Path) -> dict[Who, Secret[str]]:
    named = {
        Who.A: file.organisations.a.credential, Who.B: file.organisations.b.credential,
        Who.EXPIRED: file.credentials.expired, Who.REVOKED: file.credentials.revoked,
        Who.LOWER: file.credentials.lower, Who.ADMIN: file.credentials.admin,
    }  # fmt: skip
    found = {who: _secret(uri, here) for who, uri in named.items() if uri is not None}
    if found[Who.A] == found[Who.B]:
        raise ProbeInputError("a and b have the same credential", advice="Make a key in each of two organisations.")
    return found


def _secret(uri: str, here: Path) -> Secret[str]:
    scheme, _, rest = uri.partition(":")
    return resolve_secret(f"file:{here / rest}" if scheme == "file" else uri)


def _tls(file: ProbeFile, here: Path) -> ssl.SSLContext | None:
    if urlsplit(file.base).scheme != "https":
        return None
    try:
        context = ssl.create_default_context(cafile=None if file.ca_file is None else str(here / file.ca_file))
    except (OSError, ssl.SSLError) as error:
        raise ProbeInputError(f"ca_file {file.ca_file} cannot be used: {error}", advice="Name a PEM file.") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ProbeInputError(f"{path} cannot be read: {error}", advice="Name a file, or an https URL.") from error


def _fetched(source: str, file: ProbeFile, wallet: Wallet, rules: Rules, tls: ssl.SSLContext | None) -> str:
    asked, base = urlsplit(source), urlsplit(file.base)
    if (asked.scheme, asked.netloc) != (base.scheme, base.netloc):
        raise ProbeInputError(
            f"{asked.netloc} is not the target's host", advice="Only that is contacted; download the document first."
        )
    target = asked.path + (f"?{asked.query}" if asked.query else "")

    async def fetch() -> Any:
        pace = Pace(rules.rate, time.monotonic)
        async with Sender(f"{asked.scheme}://{asked.netloc}", rules, pace, tls) as sender:
            reply = await sender.send(Request("GET", target))
            if reply.status in {401, 403}:
                reply = await sender.send(Request("GET", target, wallet.headers(Who.A)))
            return reply

    try:
        reply = asyncio.run(fetch())
    except ProbeStoppedError as error:
        raise ProbeInputError(f"{source}: {error.message}", advice="Is the target up?") from error
    if not reply.served:
        raise ProbeInputError(f"{source} answered {reply.status}", advice="Download the document and name the file.")
    return reply.text


def said_enough(report: Report) -> bool:
    """Whether the run came to its end and judged something."""
    return report.ended is Ended.COMPLETE and report.judged > 0
