"""What `heldtrue doctor` looks at of the log's witnesses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from heldtrue.app import instance
from heldtrue.app.cli.client import Api
from heldtrue.app.findings import Finding, Level
from heldtrue.app.instance import DataDir
from heldtrue.app.settings_witness import WitnessSetting
from heldtrue.kernel.errors import HeldtrueError

ADVICE = "See docs/runbooks/witness-lags.md; the log goes on without it."


def examine_witnesses(data: DataDir, settings: Sequence[WitnessSetting]) -> Iterator[Finding]:
    """Yield how far each witness has come, as the instance that serves says."""
    if not settings:
        yield Finding(
            "witnesses",
            Level.ADVICE,
            "nobody cosigns the log: its times are yours alone, and nobody can tell that all readers see the same",
            "Ask somebody else to run `heldtrue-witness`, and name it in the settings as [[witness]].",
        )
        return
    url = instance.noted(data).get("url")
    if instance.holder(data) is None or url is None:
        yield Finding("witnesses", Level.OK, f"{len(settings)} configured; not asked: nothing runs")
        return
    local = data.tls / "ca.pem"
    try:
        found = Api(url, local if local.exists() else None, None).get("/log/witnesses")["witnesses"]
    except HeldtrueError as error:
        yield Finding("witnesses", Level.ADVICE, f"not known: {error.message}")
        return
    for each in found:
        said = f"{each['name']} has cosigned nothing yet"
        if each["cosigned_at"] is not None:
            said = f"{each['name']} cosigned {each['size']} entries {each['age_s']} s ago, {each['behind']} to go"
        trouble = f"; {each['trouble']}" if each["trouble"] else ""
        bad = each["late"] or bool(each["trouble"])
        level = Level.WRONG if each["late"] else Level.ADVICE if bad else Level.OK
        yield Finding("witness", level, f"{said}{trouble}", ADVICE if bad else "")
