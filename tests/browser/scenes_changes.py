"""Pages of changes, questions, frameworks and verification."""

from __future__ import annotations

from datetime import timedelta

import msgspec
from tests.browser import scenes as claims
from tests.unit.trust.logs import a_log

from heldtrue.claims.board import Standing
from heldtrue.trust import frameworks
from heldtrue.trust.changes import changes_page
from heldtrue.trust.diary import Diary
from heldtrue.trust.differences import AskChanges, Read, changes
from heldtrue.trust.questions import questions, questions_page
from heldtrue.trust.render import Pages
from heldtrue.trust.verify import verify_page

FACTS = {
    "locations": ["Frankfurt in DE, for hosting, operated by the company."],
    "certifications": ["SOC 2 Type 2: In observation since 2026-10-01; there is no report yet."],
}


def scenes(pages: Pages) -> dict[str, bytes]:
    """Return every page."""
    diary = Diary()
    for index, entry in enumerate(a_log(claims.NOW)):
        diary.take(index, msgspec.json.encode(entry))
    diary.pass_to(claims.NOW)
    month, quiet = AskChanges(), AskChanges(start="2020-01-01", end="2020-02-01")
    far = Read(1_204_332, complete=True)
    return {
        "/trust/changes": changes_page(pages, changes(diary, month, claims.NOW, far), month),
        "/trust/changes?empty": changes_page(
            pages, changes(diary, quiet, claims.NOW - timedelta(1), Read(80, complete=False)), quiet
        ),
        "/trust/questions": questions_page(pages, questions(claims.busy_standing(), FACTS, pages.paths())),
        "/trust/frameworks": frameworks.render(pages, frameworks.build(claims.busy_standing(), claims.ORIGIN)),
        "/trust/frameworks?empty": frameworks.render(
            pages, frameworks.build(Standing(claims.NOW, (), None), claims.ORIGIN)
        ),
        "/trust/verify": verify_page(pages),
    }
