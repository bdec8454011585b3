"""Office files as the same bytes every time: a ZIP's members carry the time of writing, so they are written again."""

from __future__ import annotations

from io import BytesIO
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a ZIP can name (APPNOTE 4.4.6)."""


def settled(content: bytes) -> bytes:
    """Return the ZIP *content* with every member dated 1980-01-01, in the order it had."""
    out = BytesIO()
    with ZipFile(BytesIO(content)) as before, ZipFile(out, "w", ZIP_DEFLATED, compresslevel=6) as after:
        for name in before.namelist():
            member = ZipInfo(name, _EPOCH)
            member.compress_type = ZIP_DEFLATED
            member.external_attr = 0o600 << 16
            after.writestr(member, before.read(name))
    return out.getvalue()
