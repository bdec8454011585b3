"""Advisories as CSAF 2.0 (OASIS), and what its providers publish beside them (section 7): metadata, index, feeds."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import feedgenerator
import orjson
from cvss import CVSS3

from heldtrue.capabilities.disclosure.kinds import Advisory
from heldtrue.capabilities.registers.model import Entry

ROOT = "/.well-known/csaf"
WHITE = "white"
FEED = "csaf-feed-tlp-white.json"
Json = dict[str, Any]
Published = Sequence[Entry[Advisory]]
"""Every version of one advisory, the oldest first; never none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Publisher:
    """Who publishes advisories."""

    name: str
    namespace: str
    """A URL that belongs to it."""
    contact: str
    url: str
    """Where the files are, without a trailing slash."""


def tracking_id(item: str) -> str:
    """Return the id of the advisory *item*."""
    return item.upper()


def file_name(item: str) -> str:
    """Return the name of an advisory's file (section 5.1)."""
    return re.sub(r"[^+\-a-z0-9]+", "_", item.lower()) + ".json"


def path_of(history: Published) -> str:
    """Return where an advisory is below the directory of its label: the year of its first release and its file."""
    return f"{history[0].recorded_at.astimezone(UTC):%Y}/{file_name(history[0].item)}"


def document(publisher: Publisher, history: Published) -> Json:
    """Return an advisory as a CSAF document of the profile `csaf_security_advisory` (section 4.4)."""
    now = history[-1]
    one = now.document
    affected, fixed = _ids("affected", one.affected), _ids("fixed", one.fixed)
    found: Json = {
        "document": {
            "category": "csaf_security_advisory",
            "csaf_version": "2.0",
            "distribution": {"tlp": {"label": "WHITE", "url": "https://www.first.org/tlp/v1/"}},
            "lang": one.language,
            "notes": [{"category": "summary", "text": one.summary, "title": "Summary"}],
            "publisher": _publisher(publisher),
            "references": [
                {"category": "self", "summary": "This advisory", "url": _url(publisher, history)},
                *({"category": "external", "summary": link, "url": link} for link in one.references),
            ],
            "title": one.title,
            "tracking": {
                "current_release_date": _at(now.recorded_at),
                "id": tracking_id(now.item),
                "initial_release_date": _at(history[0].recorded_at),
                "revision_history": [
                    {
                        "date": _at(version.recorded_at),
                        "number": str(version.version),
                        "summary": version.document.revision,
                    }
                    for version in history
                ],
                "status": "final",
                "version": str(now.version),
            },
        },
        "product_tree": _product_tree(publisher, one, {**affected, **fixed}),
        "vulnerabilities": [_vulnerability(one, sorted(affected), sorted(fixed))],
    }
    if one.credits:
        found["document"]["acknowledgments"] = [{"names": list(one.credits)}]
    return found


def provider_metadata(publisher: Publisher, newest: datetime, fingerprint: str | None, key_url: str) -> Json:
    """Return `provider-metadata.json` of a CSAF provider (sections 7.1.8 to 7.1.20)."""
    base = f"{publisher.url}{ROOT}"
    found: Json = {
        "canonical_url": f"{base}/provider-metadata.json",
        "distributions": [
            {"directory_url": f"{base}/{WHITE}/"},
            {
                "rolie": {
                    "feeds": [{"summary": "All advisories", "tlp_label": "WHITE", "url": f"{base}/{WHITE}/{FEED}"}]
                }
            },
        ],
        "last_updated": _at(newest),
        "list_on_CSAF_aggregators": True,
        "metadata_version": "2.0",
        "mirror_on_CSAF_aggregators": True,
        "publisher": _publisher(publisher),
        "role": "csaf_provider",
    }
    if fingerprint is not None:
        found["public_openpgp_keys"] = [{"fingerprint": fingerprint, "url": key_url}]
    return found


def rolie(publisher: Publisher, advisories: Sequence[Published], newest: datetime) -> Json:
    """Return the feed of RFC 8322 in JSON (section 7.1.15)."""
    base = f"{publisher.url}{ROOT}/{WHITE}"
    return {
        "feed": {
            "id": "csaf-feed-tlp-white",
            "title": "Advisories",
            "link": [{"rel": "self", "href": f"{base}/{FEED}"}],
            "category": [{"scheme": "urn:ietf:params:rolie:category:information-type", "term": "csaf"}],
            "updated": _at(newest),
            "entry": [
                {
                    "id": tracking_id(one[0].item),
                    "title": one[-1].document.title,
                    "link": [
                        {"rel": "self", "href": f"{base}/{path_of(one)}"},
                        {"rel": "hash", "href": f"{base}/{path_of(one)}.sha256"},
                        {"rel": "hash", "href": f"{base}/{path_of(one)}.sha512"},
                    ],
                    "published": _at(one[0].recorded_at),
                    "updated": _at(one[-1].recorded_at),
                    "summary": {"content": one[-1].document.summary},
                    "content": {"type": "application/json", "src": f"{base}/{path_of(one)}"},
                    "format": {
                        "schema": "https://docs.oasis-open.org/csaf/csaf/v2.0/csaf_json_schema.json",
                        "version": "2.0",
                    },
                }
                for one in _newest_first(advisories)
            ],
        }
    }


def files(
    publisher: Publisher, advisories: Sequence[Published], now: datetime, fingerprint: str | None, key_url: str
) -> Mapping[str, tuple[bytes, str]]:
    """Return every file below `/.well-known/csaf/` by its path, with its type."""
    newest = max((one[-1].recorded_at for one in advisories), default=now)
    found = {
        "provider-metadata.json": (
            _json(provider_metadata(publisher, newest, fingerprint, key_url)),
            "application/json",
        ),
        f"{WHITE}/{FEED}": (_json(rolie(publisher, advisories, newest)), "application/json"),
        f"{WHITE}/index.txt": (_lines(path_of(one) for one in _newest_first(advisories)), "text/plain; charset=utf-8"),
        f"{WHITE}/changes.csv": (
            _lines(f'"{path_of(one)}","{_at(one[-1].recorded_at)}"' for one in _newest_first(advisories)),
            "text/csv; charset=utf-8",
        ),
    }
    for one in advisories:
        content, path = _json(document(publisher, one)), f"{WHITE}/{path_of(one)}"
        found[path] = (content, "application/json")
        for name in ("sha256", "sha512"):
            line = f"{hashlib.new(name, content).hexdigest()}  {file_name(one[0].item)}\n"
            found[f"{path}.{name}"] = (line.encode(), "text/plain; charset=utf-8")
    return found


def atom(publisher: Publisher, advisories: Sequence[Published], now: datetime) -> bytes:
    """Return the advisories as an Atom feed (RFC 4287), the newest first."""
    page = f"{publisher.url}/trust/disclosure"
    feed = feedgenerator.Atom1Feed(
        title=f"{publisher.name}: security advisories", link=page, description="Security advisories",
        feed_url=f"{page}/advisories.atom", author_name=publisher.name,
    )  # fmt: skip
    for one in _newest_first(advisories):
        feed.add_item(
            title=f"{tracking_id(one[0].item)}: {one[-1].document.title}",
            link=f"{page}/advisories/{one[0].item}",
            description=one[-1].document.summary,
            unique_id=f"{page}/advisories/{one[0].item}",
            pubdate=one[0].recorded_at,
            updateddate=one[-1].recorded_at,
        )
    if not advisories:
        feed.latest_post_date = lambda: now.replace(hour=0, minute=0, second=0, microsecond=0)
    return feed.writeString("utf-8").encode()


def _product_tree(publisher: Publisher, one: Advisory, versions: Mapping[str, str]) -> Json:
    branches = [
        {
            "category": "product_version",
            "name": version,
            "product": {"name": f"{publisher.name} {one.product} {version}", "product_id": product_id},
        }
        for product_id, version in versions.items()
    ]
    product = {"category": "product_name", "name": one.product, "branches": branches}
    return {"branches": [{"category": "vendor", "name": publisher.name, "branches": [product]}]}


def _vulnerability(one: Advisory, affected: list[str], fixed: list[str]) -> Json:
    parsed: Any = CVSS3(one.vector)
    remediations: list[Json] = [
        {"category": "vendor_fix" if fixed else "mitigation", "details": one.remediation, "product_ids": affected}
    ]
    if one.workaround is not None:
        remediations.append({"category": "workaround", "details": one.workaround, "product_ids": affected})
    notes: list[Json] = [{"category": "description", "text": one.summary, "title": "Description"}]
    if one.vector_v4 is not None:
        notes.append({"category": "other", "text": one.vector_v4, "title": "CVSS 4.0"})
    found: Json = {
        "notes": notes,
        "product_status": {"known_affected": affected, **({"fixed": fixed} if fixed else {})},
        "remediations": remediations,
        "scores": [{"cvss_v3": parsed.as_json(minimal=True), "products": affected}],
        "title": one.title,
    }
    if one.cve is not None:
        found["cve"] = one.cve
    if one.cwe is not None:
        found["cwe"] = {"id": one.cwe, "name": one.cwe_name}
    return found


def _ids(prefix: str, versions: Sequence[str]) -> dict[str, str]:
    return {f"{prefix}-{number}": version for number, version in enumerate(versions, start=1)}


def _publisher(publisher: Publisher) -> Json:
    return {
        "category": "vendor",
        "contact_details": publisher.contact,
        "name": publisher.name,
        "namespace": publisher.namespace,
    }


def _url(publisher: Publisher, history: Published) -> str:
    return f"{publisher.url}{ROOT}/{WHITE}/{path_of(history)}"


def _newest_first(advisories: Sequence[Published]) -> list[Published]:
    return sorted(advisories, key=lambda one: (one[-1].recorded_at, one[0].item), reverse=True)


def _at(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def _json(value: Json) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE)


def _lines(lines: Any) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()
