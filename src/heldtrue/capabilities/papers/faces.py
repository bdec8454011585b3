"""The faces that papers are set in: the trust pages' own, and a wide one for what they do not have.

Read when the module is imported: a service user may not be able to read the installation later. Three are
static instances of the pages' variable fonts (OFL); the last is a part of DejaVu Sans. Their licences are beside them.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from io import BytesIO
from typing import Literal

from fontTools.ttLib import TTFont

Face = Literal["inter", "interB", "newsreader", "dejavu"]
"""Family and style, as fpdf2 keys them."""

_HERE = files(__package__ or "heldtrue.capabilities.papers").joinpath("fonts")
FACES: dict[Face, bytes] = {
    "inter": _HERE.joinpath("inter-regular.ttf").read_bytes(),
    "interB": _HERE.joinpath("inter-semibold.ttf").read_bytes(),
    "newsreader": _HERE.joinpath("newsreader-medium.ttf").read_bytes(),
    "dejavu": _HERE.joinpath("dejavu-sans.ttf").read_bytes(),
}
WIDE: Face = "dejavu"
"""Where a character is looked for that a face does not have."""
MISSING = "\N{WHITE SQUARE}"
"""Written for a character that no face has, so that a reader sees that one is missing."""


@cache
def advances(face: Face) -> dict[str, float]:
    """Return the width of each character that *face* has, in ems."""
    with TTFont(BytesIO(FACES[face]), lazy=True) as font:
        em = float(font["head"].unitsPerEm)  # pyright: ignore[reportAttributeAccessIssue]
        metrics = font["hmtx"].metrics  # pyright: ignore[reportAttributeAccessIssue]
        return {chr(code): metrics[name][0] / em for code, name in font.getBestCmap().items()}


@cache
def _width(face: Face, character: str) -> float:
    own = advances(face).get(character)
    return advances(WIDE).get(character, 0.6) if own is None else own


def measure(face: Face, text: str, size_mm: float) -> float:
    """Return the width of *text* in millimetres, set in *face* with an em of *size_mm*; there is no kerning."""
    return sum(_width(face, c) for c in text) * size_mm


def showable(face: Face, text: str) -> str:
    """Return *text* with every character that neither *face* nor the wide one has as `MISSING`."""
    own, wide = advances(face), advances(WIDE)
    return "".join(c if c in own or c in wide or c == "\n" else MISSING for c in text.replace("\t", "    "))
