"""A page of a PDF under way: its faces, margins, header and footer, and lines put where they belong."""

from __future__ import annotations

import logging
from io import BytesIO

from fpdf import FPDF
from fpdf.enums import Align
from fpdf.fonts import TTFFont
from fpdf.prefs import ViewerPreferences

from heldtrue.capabilities.papers.faces import FACES, WIDE, Face, showable
from heldtrue.capabilities.papers.layout import POINT, Line, face_of, lines
from heldtrue.capabilities.papers.model import Paper, Span, Tone, Words, clean, safe_link

MARGIN = 20.0
"""Millimetres of white on every side."""
INK, SOFT, RULE = (28, 27, 25), (105, 101, 94), (207, 201, 189)
TONES: dict[Tone, tuple[int, int, int]] = {
    "": INK, "good": (11, 107, 80), "bad": (179, 38, 30), "warn": (138, 90, 0), "quiet": SOFT,
}  # fmt: skip

logging.getLogger("fontTools").setLevel(logging.WARNING)


class Sheet(FPDF):
    """The document under way; everything is drawn line by line, so that a page ends where its margin begins."""

    def __init__(self, paper: Paper) -> None:
        meta = paper.meta
        super().__init__(orientation="landscape" if meta.wide else "portrait", unit="mm", format="A4")
        self.paper = paper
        for face, content in FACES.items():
            style = "B" if face.endswith("B") else ""
            self.fonts[face] = TTFFont(self, BytesIO(content), face, style)  # pyright: ignore[reportArgumentType]
        self.set_fallback_fonts([WIDE], exact_match=False)
        self.set_margin(MARGIN)
        self.c_margin = 0.0
        self.set_auto_page_break(False)
        self.set_creation_date(meta.dated)
        self.set_title(clean(paper.title))
        self.set_author(clean(meta.author))
        self.set_subject(clean(meta.subject or paper.subtitle))
        self.set_creator("Heldtrue")
        self.set_lang(meta.language)
        self.viewer_preferences = ViewerPreferences(display_doc_title=True)
        self.set_line_width(0.2)
        self.set_draw_color(*RULE)

    @property
    def bottom(self) -> float:
        """Where the text of a page ends."""
        return self.h - MARGIN - 2

    def header(self) -> None:
        """Write company and title above every page but the first."""
        if self.page_no() > 1:
            self.set_xy(self.l_margin, 11)
            self.small(self.paper.meta.author, Align.L)
            self.set_xy(self.l_margin, 11)
            self.small(self.paper.title, Align.R)
            self.set_xy(self.l_margin, MARGIN + 2)

    def footer(self) -> None:
        """Write what the document is referred to by, and the page of how many."""
        y = self.h - 14
        self.line(self.l_margin, y - 1.5, self.w - self.r_margin, y - 1.5)
        self.set_xy(self.l_margin, y)
        self.small(self.paper.meta.reference, Align.L)
        self.set_xy(self.l_margin, y)
        self.small(f"Page {self.page_no()} of {{nb}}", Align.R)

    def small(self, text: str, align: Align) -> None:
        """Write a line of the margin."""
        self.face("inter", 8.0, SOFT)
        most = int(self.epw / 2.2)
        self.cell(self.epw, 5, shown(text if len(text) <= most else f"{text[: most - 1]}…"), align=align)

    def face(self, face: Face, size: float, colour: tuple[int, int, int] = INK) -> None:
        """Write on in this face."""
        self.set_font(face.removesuffix("B"), "B" if face.endswith("B") else "", size)  # pyright: ignore[reportArgumentType]
        self.set_text_color(*colour)

    def need(self, height: float) -> None:
        """Begin a page when less than *height* is left on this one."""
        if self.y + height > self.bottom:
            self.add_page()

    def put(self, line: Line, x: float, size: float, lead: float, colour: tuple[int, int, int] | None = None) -> None:
        """Draw a line at *x* and the present height; the height stays."""
        y = self.y
        for piece in line.pieces:
            self.face(face_of(piece.span), size, colour or TONES[piece.span.tone])
            self.set_xy(x, y)
            self.cell(piece.width, lead, piece.text, link=target(piece.span))
            x += piece.width
        self.set_xy(self.l_margin, y)

    def write_words(self, words: Words, *, indent: float = 0.0, size: float = 10.0, lead: float = 5.2) -> None:
        """Write a paragraph."""
        for line in lines(words, self.epw - indent, size):
            self.need(lead)
            self.put(line, self.l_margin + indent, size, lead)
            self.set_y(self.y + lead)

    def title_line(self, text: str, face: Face, size: float, colour: tuple[int, int, int] = INK) -> None:
        """Write a title, over as many lines as it needs."""
        lead = size * POINT * 1.3
        for line in lines(text, self.epw, size, face=face):
            self.face(face, size, colour)
            self.cell(self.epw, lead, "".join(piece.text for piece in line.pieces))
            self.set_xy(self.l_margin, self.y + lead)


def target(span: Span) -> str:
    """Return where a run leads outside the document; fragments have no meaning in a PDF."""
    link = safe_link(span.link)
    return "" if link.startswith("#") else link


def shown(text: str) -> str:
    """Return *text* as the faces can show it."""
    return showable("inter", clean(text))
