"""What the sample company sends: the files of `examples/`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import heldtrue
from heldtrue.kernel.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Sample:
    """One thing that is sent."""

    said: str
    file: Path
    attachments: tuple[Path, ...] = ()


def find(folder: Path | None) -> list[Sample]:
    """Return the samples in *folder*, by default those that came with this installation."""
    here = _home(folder)
    return [
        Sample("an invoice as JSON", here / "invoice.json"),
        Sample("the same as UBL 2.1", here / "invoice.ubl.xml"),
        Sample("the same as PDF", here / "invoice.pdf"),
        Sample(
            "a mail with both attached",
            here / "invoice-mail.eml",
            (here / "invoice.pdf", here / "invoice.ubl.xml"),
        ),
        Sample("an excerpt of a public filing", here / "filing.json"),
    ]


def mail(folder: Path | None) -> Path:
    """Return the mail with an invoice as PDF and as UBL."""
    return _home(folder) / "invoice-mail.eml"


def _home(folder: Path | None) -> Path:
    here = folder or next((place for place in _places() if (place / "invoice.json").exists()), None)
    if here is None or not (here / "invoice.json").exists():
        raise SettingsError("the examples are not where they should be", advice="Name their folder with --examples.")
    return here


def _places() -> list[Path]:
    package = Path(heldtrue.__file__).parent
    return [package / "examples", package.parents[1] / "examples"]
