"""Settings: one typed object, from a TOML file and flags; an unknown key is an error, and every default is safe."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, cast
from urllib.parse import urlsplit

import msgspec

from heldtrue.app.settings_company import CompanySettings
from heldtrue.app.settings_disclosure import Disclosure
from heldtrue.app.settings_edge import Edge, host_and_port
from heldtrue.app.settings_evidence import EvidenceSettings
from heldtrue.app.settings_leaks import Leaks
from heldtrue.app.settings_mail import Mail
from heldtrue.app.settings_portal import Portal
from heldtrue.app.settings_post import Post
from heldtrue.app.settings_posture import Posture
from heldtrue.app.settings_scanning import Scan
from heldtrue.app.settings_site import SiteSettings
from heldtrue.app.settings_transforms import Transforms
from heldtrue.app.settings_witness import WitnessSetting, witnesses
from heldtrue.kernel.errors import SettingsError

_SECRET_WORD = re.compile(r"pass(word|wd|phrase)?$|secret|token|credential$|private", re.IGNORECASE)
_ORIGIN = re.compile(r"[a-z0-9][a-z0-9.-]*(:[0-9]{1,5})?(/[A-Za-z0-9._~-]+)*")

Count = Annotated[int, msgspec.Meta(ge=1)]


class Limits(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """How much one caller may ask for."""

    body_bytes: Count = 25 * 1024 * 1024
    attachments: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 20
    requests_per_second: Count = 100
    burst: Count = 200


class Destinations(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Where deliveries may go beyond public addresses, and whom they trust there."""

    allow: tuple[str, ...] = ()
    """Networks, as `127.0.0.0/8`; without an entry no loopback, private or metadata address is dialled."""
    ca_file: str | None = None
    """A PEM file of authorities trusted beside the system's."""


class Objects(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Where large sealed bodies are kept."""

    store: str = "local"
    """`local`, or `s3://bucket/prefix`; S3 credentials come from the environment, never from here."""
    endpoint: str | None = None
    """URL of an S3-compatible service, when it is not Amazon's."""
    region: str | None = None

    def __post_init__(self) -> None:
        if self.store != "local" and not re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]+(/[A-Za-z0-9._/-]*)?", self.store):
            raise SettingsError(
                f"objects.store = {self.store!r} is no store", advice='Write "local" or "s3://bucket/prefix".'
            )
        if self.endpoint is not None and not self.endpoint.startswith("https://"):
            raise SettingsError(
                f"objects.endpoint = {self.endpoint!r} is not an https URL", advice="Serve the object store over TLS."
            )


class Settings(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Everything an operator can set."""

    listen: str = "127.0.0.1:8443"
    base_url: str | None = None
    """The URL under which others reach this instance; made of `listen` when not set."""
    origin: str | None = None
    """Name of the log: a URL without its scheme. Fixed at first start."""
    platform_key: str | None = None
    """`file:/path`; by default beside the service's own configuration, named by instance id."""
    database: str = "embedded"
    """`embedded`, or a secret URI that holds a DSN: `file:/path` (mode 0600) or `env:NAME`."""
    tls_cert: str | None = None
    tls_key: str | None = None
    service_user: str = "heldtrue"
    metrics_from: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    """Networks that may read `/metrics`."""
    claims: bool = True
    """Attack the claims on schedule."""
    limits: Limits = Limits()
    destinations: Destinations = Destinations()
    objects: Objects = Objects()
    edge: Edge = Edge()
    leaks: Leaks = Leaks()
    scan: Scan = Scan()
    mail: Mail = Mail()
    transforms: Transforms = Transforms()
    portal: Portal = Portal()
    post: Post = Post()
    company: CompanySettings = CompanySettings()
    disclosure: Disclosure = Disclosure()
    evidence: EvidenceSettings = EvidenceSettings()
    witness: tuple[WitnessSetting, ...] = ()
    """Who cosigns the log."""
    posture: Posture = Posture()
    site: SiteSettings = SiteSettings()

    def __post_init__(self) -> None:
        parse_listen(self.listen)
        if self.base_url is not None:
            _check_base_url(self.base_url)
        if self.origin is not None and not _ORIGIN.fullmatch(self.origin):
            raise SettingsError(
                f"origin = {self.origin!r} is not a URL without its scheme",
                advice='Write it as "log.example.com/prod".',
            )
        if (self.tls_cert is None) != (self.tls_key is None):
            raise SettingsError("tls_cert and tls_key go together", advice="Set both, or neither.")
        if self.database != "embedded":
            _check_secret_uri("database", self.database)
        if self.edge.valkey is not None:
            _check_secret_uri("edge.valkey", self.edge.valkey)
        witnesses(self.witness)
        for network in (*self.destinations.allow, *self.metrics_from):
            _check_network(network)

    @property
    def address(self) -> tuple[str, int]:
        """The host and port to listen on."""
        return parse_listen(self.listen)

    @property
    def public_url(self) -> str:
        """The URL under which others reach this instance, without a trailing slash."""
        if self.base_url is not None:
            return self.base_url.rstrip("/")
        host, port = self.address
        shown = "localhost" if host in {"0.0.0.0", "::", ""} else f"[{host}]" if ":" in host else host  # noqa: S104
        return f"https://{shown}" if port == 443 else f"https://{shown}:{port}"


def load(file: Path | None, flags: Mapping[str, Any], *, required: bool = False) -> Settings:
    """Return the settings of *file* (when it exists), overridden by *flags* that are not None.

    Flags use dots for sections, as `destinations.allow`. Raise `SettingsError` for anything that is not a setting.
    """
    found: dict[str, Any] = {}
    if file is not None and (required or file.exists()):
        found = _read(file)
    for name, value in flags.items():
        if value is not None and value != ():
            _put(found, name, value)
    where = str(file) if file is not None else "the flags"
    _refuse_unknown(found, Settings, "", where)
    _refuse_secrets(found, "", where)
    try:
        return msgspec.convert(found, Settings)
    except msgspec.ValidationError as error:
        raise SettingsError(
            f"{where}: {error}", advice="See `docs/guides/operator.md`, the table of settings."
        ) from error


def parse_listen(text: str) -> tuple[str, int]:
    """Return host and port of `HOST:PORT` (an IPv6 host in brackets)."""
    return host_and_port("listen", text)


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text())
    except OSError as error:
        raise SettingsError(f"{file} cannot be read: {error.strerror}", advice="Check `--config`.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file} is not TOML: {error}", advice="Correct the line that is named.") from error


def _put(found: dict[str, Any], name: str, value: object) -> None:
    *sections, last = name.split(".")
    place = found
    for section in sections:
        inner = place.setdefault(section, {})
        if not isinstance(inner, dict):
            raise SettingsError(f"{section} is a section, not a value", advice=f"Write it as [{section}].")
        place = cast("dict[str, Any]", inner)
    place[last] = list(cast("tuple[object, ...]", value)) if isinstance(value, tuple) else value


def _refuse_unknown(found: Mapping[str, Any], struct: type[msgspec.Struct], prefix: str, where: str) -> None:
    fields = {field.encode_name: field.type for field in msgspec.structs.fields(struct)}
    for name, value in found.items():
        if name not in fields:
            near = difflib.get_close_matches(name, fields, n=1, cutoff=0.0)
            raise SettingsError(
                f"{where}: there is no setting {prefix}{name}",
                advice=f"Did you mean {prefix}{near[0]}?" if near else "Remove it.",
            )
        inner = fields[name]
        if isinstance(value, dict) and isinstance(inner, type) and issubclass(inner, msgspec.Struct):
            _refuse_unknown(cast("dict[str, Any]", value), inner, f"{prefix}{name}.", where)


def _refuse_secrets(found: Mapping[str, Any], prefix: str, where: str) -> None:
    for name, value in found.items():
        if isinstance(value, dict):
            _refuse_secrets(cast("dict[str, Any]", value), f"{prefix}{name}.", where)
        elif isinstance(value, str) and (_SECRET_WORD.search(name) or _bears_secret(value)):
            raise SettingsError(
                f"{where}: {prefix}{name} seems to hold a secret in clear",
                advice=f'Put it into a file with mode 0600 and write {prefix}{name} = "file:/path/to/it".',
            )


def _bears_secret(value: str) -> bool:
    if re.search(r"\bht_(sk|pk)_|\bwhs[ek]c?_|PRIVATE KEY|\bpassword\s*=", value):
        return True
    if "://" not in value:
        return False
    try:
        return urlsplit(value).password is not None
    except ValueError:
        return False


def _check_base_url(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise SettingsError(f"base_url = {url!r} is not an https URL", advice='Write it as "https://api.example.com".')


def _check_secret_uri(name: str, uri: str) -> None:
    scheme, colon, rest = uri.partition(":")
    if not colon or scheme not in {"file", "env"} or not rest:
        meant = "neither `embedded` nor a secret URI" if name == "database" else "not a secret URI"
        raise SettingsError(
            f"{name} = {uri[:20]!r} is {meant}",
            advice=f'Put it into a file with mode 0600 and write {name} = "file:/path/to/it", or "env:NAME".',
        )


def _check_network(text: str) -> None:
    try:
        ip_network(text)
    except ValueError as error:
        raise SettingsError(f"{text!r} is not a network: {error}", advice='Write it as "127.0.0.0/8".') from error
