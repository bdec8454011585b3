"""`heldtrue demo`."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Annotated, Any, cast

import orjson
import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from heldtrue.app.cli.session import Session
from heldtrue.app.demo import samples
from heldtrue.app.demo.mailroom import Mailroom
from heldtrue.app.demo.receiver import Received, Receiver
from heldtrue.app.demo.story import COMPANY, PATIENCE, DemoFailedError, Story, open_story
from heldtrue.app.doctor_transforms import ask
from heldtrue.kernel.errors import UnavailableError
from heldtrue_verify.verdicts import Verdict


def demo(
    session: Session,
    examples: Annotated[Path | None, typer.Option(help="The folder of samples to send.")] = None,
    keep: Annotated[
        Path | None, typer.Option("--keep", help="Where receipts go; a temporary folder otherwise.")
    ] = None,
) -> None:
    """Run one sample company through everything that exists, and verify every proof."""
    began = time.monotonic()
    out = keep or Path(tempfile.mkdtemp(prefix="heldtrue-demo-"))
    out.mkdir(parents=True, exist_ok=True)
    story = open_story(session.data.root, _serving(session), out)
    told = _Told(session)

    company, fresh = story.found_company()
    told.step("Organisation", f"{COMPANY}", f"{company}, {'made now' if fresh else 'from an earlier run'}")
    who = story.issue_key(company)
    told.step("API key", f"role {who['role']}, only its SHA-256 is stored", f"{who['id']}; kept in {story.key_file}")

    with story.receiver() as receiver:
        told.step("Endpoint", f"{receiver.url}", "over TLS, under an authority of its own, on an explicit allow list")
        for sample in samples.find(examples):
            taken = story.send(sample)
            told.step("Payload", f"{sample.said}, {sample.file.name}", f"{taken['id']}, sha256 {taken['sha256'][:16]}…")
        _wait(session, receiver, len(story.sent))
        pairs = story.matched(receiver)
        told.step(
            "Delivered",
            f"{len(pairs)} signed webhooks",
            "v1 and v1a signatures hold, and every byte is the one that was sent",
        )
        read = _by_mail(session, told, story, receiver, examples)
    if receiver.refused:
        raise DemoFailedError(f"the receiver refused {len(receiver.refused)} webhooks: {receiver.refused[0]}")

    file = out
    of_all = [(sample.file.name, webhook) for sample, webhook in pairs]
    for name, webhook in [*of_all, *([] if read is None else [("what was read from the mail", read)])]:
        file, report = story.fetch_bundle(webhook)
        if report.verdict is not Verdict.HOLDS:
            session.out.say(escape(report.to_text()))
            raise DemoFailedError(f"the receipt for {name} does not verify", advice=f"See {file}.")
        told.step("Receipt", f"for {name}", f"{file.stem}, {len(report.steps)} of {len(report.steps)} checks hold")
    refused = story.tampered(file.read_bytes())
    told.step("Forgery", "the last receipt with its size changed by one", f"refused: {refused.verdict.value}")
    (out / "webhook.txt").write_bytes(pairs[-1][1].as_file())

    states = _states(story)
    told.step("Trust page", f"{story.url}/trust", ", ".join(f"{count} {state}" for state, count in states.items()))
    told.end(story, file, time.monotonic() - began, states)


def _by_mail(session: Session, told: _Told, story: Story, receiver: Receiver, examples: Path | None) -> Received | None:
    """Send the mail as another company's server would, and have the invoice in it read in the sandbox."""
    if story.mail is None:
        told.step("By mail", "left out", "this instance takes no mail: see docs/guides/mail.md")
        return None
    if not _isolates(session):
        told.step("By mail", "left out", "this machine cannot isolate code: `heldtrue doctor` says what is missing")
        return None
    room = Mailroom(story.company(), story.mail, story.ca_file)
    room.open()
    told.step("Mail address", room.address, "random, of this company alone, revoked at the next demo")
    version, cipher = room.send(samples.mail(examples).read_bytes())
    told.step("By mail", f"the invoice, over {version}", f"after STARTTLS, {cipher}; in clear it would be refused")
    webhook, invoice = room.read(receiver)
    fields = invoice["fields"]
    said = " ".join(str(fields[name]["value"]) for name in ("number", "gross", "currency"))
    made = cast("dict[str, Any]", webhook.event["data"])["receipt"]["output"]
    told.step(
        "Transformed",
        f"invoice {said}, {fields['gross']['confidence']:.2f} sure",
        f"in a sandbox of its own; code {made['transform']['digest'][:22]}…, sandbox {made['sandbox'][:22]}…",
    )
    return webhook


def _isolates(session: Session) -> bool:
    """Return whether the runner answers; it begins a moment after the instance serves."""
    deadline = time.monotonic() + PATIENCE / 2
    while True:
        try:
            ask(session.data)
        except (UnavailableError, TimeoutError, OSError):
            if time.monotonic() > deadline:
                return False
        else:
            return True
        time.sleep(0.5)  # between two questions, bounded by the deadline


class _Told:
    """Prints the story, or collects it for `--json`."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._steps: list[dict[str, str]] = []

    def step(self, what: str, said: str, proof: str) -> None:
        """Tell one step and its proof."""
        self._steps.append({"step": what, "said": said, "proof": proof})
        number = len(self._steps)
        self._session.out.say(
            f"[bold]{number:2}  {what:<13}[/]{escape(said)}\n                 [dim]{escape(proof)}[/]"
        )

    def end(self, story: Story, file: Path, seconds: float, states: dict[str, int]) -> None:
        """Tell where to look, and end with the verified receipt."""
        ca = f" --ca-file {story.ca_file}" if story.ca_file else ""
        if self._session.out.as_json:
            verified = {"file": str(file), "pin": story.pin, "verified": True}
            self._session.out.json({"steps": self._steps, "claims": states, "receipt": verified, "seconds": seconds})
            return
        self._session.out.say(
            f"\nLook     {escape(story.url)}/trust and {escape(story.url)}/docs"
            f"\nDo it    heldtrue payloads list --data-dir {escape(str(story.data))}"
            f" --credential-file {escape(str(story.key_file))}"
            f"\nCheck    heldtrue-verify receipt {escape(str(file))} --pin {escape(story.pin)}"
            f"\n         heldtrue-verify page {escape(story.url)} --pin {escape(story.pin)}{escape(ca)}"
            f"\n\n[bold green]Verified receipt[/] {escape(file.stem)}, {seconds:.1f} s after the start of the demo."
        )


def _wait(session: Session, receiver: Receiver, count: int) -> None:
    columns = (TextColumn("    Waiting for deliveries"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = session.out.progress
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("deliveries", total=count)
        deadline = time.monotonic() + PATIENCE
        while not receiver.wait_for(count, 0.2):
            bar.update(task, completed=len(receiver.received))
            if time.monotonic() > deadline:
                refused = f" Refused: {receiver.refused[0]}" if receiver.refused else ""
                raise DemoFailedError(
                    f"{len(receiver.received)} of {count} deliveries came in {PATIENCE:.0f} s.{refused}",
                    advice="`heldtrue deliveries list` shows how each went.",
                )


def _states(story: Story) -> dict[str, int]:
    states: dict[str, int] = {}
    for claim in story.trust()["claims"]:
        states[claim["state"]] = states.get(claim["state"], 0) + 1
    return states


def _serving(session: Session) -> dict[str, object] | None:
    try:
        return orjson.loads(session.data.serving.read_bytes())
    except FileNotFoundError:
        return None
