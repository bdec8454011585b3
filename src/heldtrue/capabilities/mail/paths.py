"""The arguments of MAIL and RCPT, read strictly (RFC 5321, section 4.1.2; RFC 6531, section 3.3)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from heldtrue.capabilities.mail.terms import RefusedReplyError, refused

# Written as what is left out: a range up to U+10FFFF takes long to compile.
_ATEXT = r'[^\x00-\x20"(),.:;<>@\[\\\]\x7f]'
_LOCAL = rf'(?:{_ATEXT}+(?:\.{_ATEXT}+)*|"(?:[^\x00-\x1f"\\\x7f]|\\[ -~])*")'
_ALNUM = r"[^\x00-/:-@\[-`{-\x7f]"
_LABEL = rf"{_ALNUM}(?:[^\x00-,./:-@\[-`{{-\x7f]{{0,61}}{_ALNUM})?"
_DOMAIN = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[A-Za-z0-9.:-]{{1,64}}\])"
_ROUTE = rf"(?:@{_DOMAIN}(?:,@{_DOMAIN})*:)?"
_PATH = re.compile(rf"<(?:{_ROUTE}(?P<local>{_LOCAL})@(?P<domain>{_DOMAIN}))?>")
_PARAMETER = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*)(?:=([!-<>-~]+))?")
_HELO = re.compile(r"[!-~]{1,255}")


@dataclass(frozen=True, slots=True)
class Path:
    """A mailbox; both parts empty for the null sender."""

    local: str
    domain: str

    def __str__(self) -> str:
        return f"{self.local}@{self.domain}" if self.domain else ""


@dataclass(frozen=True, slots=True)
class MailFrom:
    """What a MAIL command says."""

    sender: Path
    size: int
    smtputf8: bool


def mail_from(argument: str) -> MailFrom:
    """Return what the argument of MAIL says; raise `RefusedReplyError` for anything else."""
    path, given = _parts(argument, "FROM:", "MAIL FROM:<address>")
    size, utf8 = 0, False
    for name, value in given.items():
        if name == "SIZE" and value is not None and value.isdigit() and len(value) <= 20:
            size = int(value)
        elif name == "BODY" and value is not None and value.upper() in {"7BIT", "8BITMIME"}:
            continue
        elif name == "SMTPUTF8" and value is None:
            utf8 = True
        elif name in {"SIZE", "BODY", "SMTPUTF8"}:
            raise refused(f"501 5.5.4 {name} cannot have that value", "smtp-syntax")
        else:
            raise refused(f"555 5.5.4 {name[:20]} is no parameter of MAIL here", "smtp-syntax")
    _judge_letters(path, utf8=utf8)
    return MailFrom(path, size, utf8)


def rcpt_to(argument: str, *, smtputf8: bool) -> Path:
    """Return whom the argument of RCPT names."""
    path, given = _parts(argument, "TO:", "RCPT TO:<address>")
    if given:
        raise refused("555 5.5.4 RCPT takes no parameters here", "smtp-syntax")
    if not path.domain:
        raise refused("501 5.1.3 RCPT TO:<address>", "smtp-syntax")
    _judge_letters(path, utf8=smtputf8)
    return path


def helo_name(argument: str) -> str:
    """Return the name that a peer gives itself."""
    if _HELO.fullmatch(argument) is None:
        raise refused("501 5.5.4 say your name, as EHLO mail.example.com", "smtp-syntax")
    return argument


def _parts(argument: str, keyword: str, meant: str) -> tuple[Path, dict[str, str | None]]:
    if argument[: len(keyword)].upper() != keyword:
        raise refused(f"501 5.5.4 {meant}", "smtp-syntax")
    rest = argument[len(keyword) :].lstrip(" ")
    found = _PATH.match(rest)
    if found is None:
        raise _no_address()
    local, domain = found["local"] or "", found["domain"] or ""
    if len(local.encode()) > 64 or len(domain.encode()) > 255:
        raise _no_address()
    given: dict[str, str | None] = {}
    behind = rest[found.end() :]
    if behind and not behind.startswith(" "):
        raise refused(f"501 5.5.4 {meant}", "smtp-syntax")
    for word in behind.split():
        match = _PARAMETER.fullmatch(word)
        if match is None or match[1].upper() in given:
            raise refused(f"501 5.5.4 {meant}", "smtp-syntax")
        given[match[1].upper()] = match[2]
    return Path(local, domain), given


def _no_address() -> RefusedReplyError:
    return refused("553 5.1.3 that is no address", "smtp-syntax")


def _judge_letters(path: Path, *, utf8: bool) -> None:
    if not utf8 and not str(path).isascii():
        raise refused("553 5.6.7 letters beyond ASCII need SMTPUTF8", "smtp-syntax")
