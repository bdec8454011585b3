"""The files that commands are given: read whole, or refused with a sentence."""

from __future__ import annotations

import sys
import tomllib
from datetime import date, datetime
from pathlib import Path
from typing import Any, cast

import orjson

from heldtrue.kernel.errors import BadInputError, SettingsError


class UnreadableFileError(BadInputError):
    """The file is not TOML or JSON of the form that was asked for; the message says what is wrong."""

    code = "unreadable-file"


def content(path: Path) -> bytes:
    """Return what is in the file; `-` is standard input. Raise `BadInputError` where it cannot be read."""
    try:
        return sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    except OSError as error:
        raise BadInputError(f"{path} cannot be read: {error.strerror}", advice="Check the path.") from error


def text(path: Path) -> str:
    """Return what is in a text file; raise `BadInputError` where it cannot be read, or is not UTF-8."""
    try:
        return content(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadInputError(f"{path} is no text in UTF-8: {error.reason}", advice="Name a text file.") from error


def document(path: Path) -> dict[str, Any]:
    """Return the object in a TOML (by its name) or JSON file, its dates as text; raise `UnreadableFileError`."""
    written = text(path)
    try:
        found: object = tomllib.loads(written) if path.suffix == ".toml" else orjson.loads(written)
    except (tomllib.TOMLDecodeError, orjson.JSONDecodeError) as error:
        raise UnreadableFileError(f"{path}: {error}", advice="Write TOML (in a .toml file) or JSON.") from error
    if not isinstance(found, dict):
        raise UnreadableFileError(f"{path} holds no object", advice="Write `{name: value}` in JSON, or TOML.")
    return cast("dict[str, Any]", _plain(found))


def write_new(path: Path, content: bytes) -> None:
    """Write a file that is not there yet."""
    try:
        with path.open("xb") as out:
            out.write(content)
    except FileExistsError as error:
        raise SettingsError(f"{path} exists already", advice="Choose another name; it is not overwritten.") from error
    except OSError as error:
        raise SettingsError(f"{path} cannot be written: {error.strerror}", advice="Choose another place.") from error


def _plain(value: Any) -> Any:
    """Return *value* with TOML's dates as text."""
    if isinstance(value, date | datetime):
        return value.isoformat()
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [_plain(one) for one in cast("list[Any]", value)]
    return value
