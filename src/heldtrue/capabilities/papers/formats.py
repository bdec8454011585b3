"""The formats that a paper is written in, by the ending of its file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import orjson

from heldtrue.capabilities.papers import data, docx, html, pdf, sheet
from heldtrue.capabilities.papers.model import Paper


@dataclass(frozen=True, slots=True)
class Format:
    """A way of writing a paper."""

    content_type: str
    write: Callable[[Paper], bytes]


_OFFICE = "application/vnd.openxmlformats-officedocument"
FORMATS = {
    "pdf": Format("application/pdf", pdf.render),
    "docx": Format(f"{_OFFICE}.wordprocessingml.document", docx.render),
    "xlsx": Format(f"{_OFFICE}.spreadsheetml.sheet", sheet.render),
    "html": Format("text/html; charset=utf-8", html.render),
    "json": Format("application/json", lambda paper: orjson.dumps(data.render(paper))),
}
"""By ending."""
