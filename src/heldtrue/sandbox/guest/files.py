"""What a transform may attach to an output; judged here for the honest, and by the engine for the rest."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

MOST = 20
"""Files of one output."""
NAME = re.compile(r"[^/\\\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]{1,120}")
TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,62}/[a-z0-9][a-z0-9!#$&^_.+-]{0,62}")


class FileError(ValueError):
    """This cannot be attached; the message is for the transform's developer."""


@dataclass(frozen=True, slots=True)
class File:
    """Bytes with a name and a media type."""

    name: str
    content_type: str
    data: bytes = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse what no honest caller means."""
        check(self.name, self.content_type)
        if not isinstance(self.data, bytes):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise FileError("a file's data are bytes")


def check(name: object, content_type: object) -> None:
    """Raise `FileError` where a name or a media type is none."""
    if not (isinstance(name, str) and NAME.fullmatch(name)):
        raise FileError("a file's name has 1 to 120 characters, none of them a slash or a control character")
    if not (isinstance(content_type, str) and TYPE.fullmatch(content_type)):
        raise FileError("a file's type is a media type in lower case without parameters, as text/csv")
