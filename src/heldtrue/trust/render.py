"""Templates and assets, read when the process starts and never again, and the one way to make a page of them."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from jinja2 import DictLoader, Environment, StrictUndefined

from heldtrue.trust import nav, words
from heldtrue.trust.site import Site

_HERE = files(__package__ or "heldtrue.trust")
_FONTS = ("newsreader", "inter", "jetbrains-mono")
_SCRIPT = "text/javascript; charset=utf-8"
_KINDS = {"css": "text/css; charset=utf-8", "svg": "image/svg+xml", "mjs": _SCRIPT}
ASSETS: dict[str, tuple[bytes, str]] = {
    **{
        item.name: (item.read_bytes(), _KINDS[item.name.rpartition(".")[2]])
        for item in _HERE.joinpath("static").iterdir()
        if item.is_file()
    },
    **{
        f"fonts/{name}.woff2": (_HERE.joinpath(f"static/fonts/{name}.woff2").read_bytes(), "font/woff2")
        for name in _FONTS
    },
}
"""By path below `/assets/`: content and type."""
TEMPLATES = {
    item.name: item.read_text("utf-8")
    for item in _HERE.joinpath("templates").iterdir()
    if item.name.endswith(".html")
}  # fmt: skip

_ENV = Environment(
    loader=DictLoader(TEMPLATES),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
    cache_size=-1,  # each is compiled when it is first asked for, and kept
)
_ENV.filters.update(
    lasting=words.lasting,
    every=words.every,
    moment=words.moment,
    day=words.day,
    count=words.count,
    tell=words.tell,
    short=words.short,
    strokes=words.strokes,
    briefly=words.briefly,
)
_GLOBALS: dict[str, Any] = _ENV.globals
_GLOBALS.update(ago=words.ago, since=words.since, day_before=words.day_before, counted=words.counted)


class Pages:
    """Renders every page of one publisher: same head, same navigation, same look."""

    def __init__(self, site: Site) -> None:
        self.site = site
        sheet, kind = ASSETS["heldtrue.css"]
        self.assets = {**ASSETS, "heldtrue.css": (sheet + site.theme.css.encode(), kind)}
        if site.theme.logo is not None:
            self.assets["logo"] = site.theme.logo

    def render(self, template: str, *, at: str, twin: str | None = None, **values: Any) -> bytes:
        """Return a page: *at* is its path, which marks the navigation; *twin* the path of the same as JSON.

        Templates extend `base.html` and get, beside *values*: `site`, `links`, `at` and `twin`.
        """
        shown = {"site": self.site, "links": nav.links(at, TEMPLATES), "at": at, "twin": twin, **values}
        return _ENV.get_template(template).render(shown).encode()

    def paths(self) -> frozenset[str]:
        """Return the paths to which a page may lead."""
        return nav.paths(TEMPLATES)

    def notice(self, title: str, text: str, *, at: str = "") -> bytes:
        """Return a page that says one thing: what is missing, what is wrong, or what has been done."""
        return self.render("notice.html", at=at, title=title, text=text)
