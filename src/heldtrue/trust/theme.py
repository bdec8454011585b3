"""The company's own look: an accent colour that everybody can read, in light and in dark, and a logo that is a picture.

Contrast as WCAG 2.2 defines it: 4.5:1 for text (1.4.3). An accent that is too weak is made darker for light paper and
lighter for dark paper until it is strong enough.
"""

from __future__ import annotations

import colorsys
import re

from heldtrue.kernel.errors import SettingsError
from heldtrue.trust.site import Theme

ENOUGH = 4.5
PAPERS = ("#fbfaf7", "#131311")
"""What text stands on, light and dark; as in the style sheet."""
LARGEST_LOGO = 100 * 1024
_HEX = re.compile(r"#[0-9a-fA-F]{6}")
_ACTIVE = re.compile(
    rb"<script|<foreignObject|\bon[a-z]+\s*=|javascript:|<!ENTITY|(?:href|src)\s*=\s*[\"']?\s*(?!#|data:image/)", re.I
)
Rgb = tuple[float, float, float]


def theme(accent: str | None, logo: tuple[bytes, str] | None) -> Theme:
    """Return the look of an accent colour (`#rrggbb`) and a logo; raise `SettingsError` for what cannot be used."""
    css = "" if accent is None else sheet(*(readable(accent, paper) for paper in PAPERS))
    return Theme(logo=logo, css=css)


def sheet(light: str, dark: str) -> str:
    """Return what is appended to the style sheet."""
    rules = "a:not([class]):hover, nav [aria-current] { color: var(--accent); } .brand { color: var(--accent); }"
    marks = "header nav [aria-current] { color: var(--accent); border-color: var(--accent); }"
    return (
        f"\n:root {{ --accent: {light}; }}\n@media (prefers-color-scheme: dark) {{ :root {{ --accent: {dark}; }} }}\n"
        f"@media print {{ :root {{ --accent: {light}; }} }}\n{rules} {marks}\n"
    )


def readable(accent: str, paper: str) -> str:
    """Return *accent*, or the nearest lightness of it that can be read on *paper*; raise `SettingsError` for none."""
    if not _HEX.fullmatch(accent):
        raise SettingsError(f"site.accent = {accent!r} is no colour", advice='Write it as "#0b6b50".')
    hue, lightness, saturation = colorsys.rgb_to_hls(*_rgb(accent))
    step = -0.01 if luminance(_rgb(paper)) > 0.5 else 0.01
    while contrast(accent, paper) < ENOUGH:  # ends: black on light paper and white on dark have 18:1
        lightness += step
        accent = _hex(colorsys.hls_to_rgb(hue, min(1.0, max(0.0, lightness)), saturation))
    return accent.lower()


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours, 1 to 21 (WCAG 2.2, contrast ratio)."""
    light, dark = sorted((luminance(_rgb(one)), luminance(_rgb(other))), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(rgb: Rgb) -> float:
    """Return the relative luminance of a colour (WCAG 2.2)."""
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in rgb)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def logo_of(content: bytes, name: str) -> tuple[bytes, str]:
    """Return a logo and its type; raise `SettingsError` for anything but a small PNG, WebP or SVG without scripts."""
    if len(content) > LARGEST_LOGO:
        raise SettingsError(f"{name} has {len(content)} bytes", advice=f"A logo has at most {LARGEST_LOGO}.")
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return content, "image/png"
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return content, "image/webp"
    if b"<svg" in content[:2048]:
        if _ACTIVE.search(content):
            raise SettingsError(
                f"{name} has scripts, events or links in it", advice="Export it as a plain SVG, or as PNG."
            )
        return content, "image/svg+xml"
    raise SettingsError(f"{name} is neither PNG, WebP nor SVG", advice="Export the logo as one of these.")


def _rgb(colour: str) -> Rgb:
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return red, green, blue


def _hex(rgb: Rgb) -> str:
    return "#" + "".join(f"{round(part * 255):02x}" for part in rgb)
