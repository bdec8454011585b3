"""Settings: an unknown one is an error, a secret in clear is refused, a default is safe."""

from __future__ import annotations

from pathlib import Path

import pytest

from heldtrue.app import settings
from heldtrue.app.secret_uri import resolve_secret
from heldtrue.app.settings import Settings, load, parse_listen
from heldtrue.app.settings_company import CompanySettings, company
from heldtrue.app.settings_site import SiteSettings
from heldtrue.kernel.errors import SettingsError


def written(folder: Path, text: str) -> Path:
    file = folder / "heldtrue.toml"
    file.write_text(text)
    return file


def test_defaults_listen_on_loopback_and_dial_nobody_private() -> None:
    default = load(None, {})
    assert default == Settings()
    assert default.address == ("127.0.0.1", 8443)
    assert default.destinations.allow == ()
    assert default.public_url == "https://127.0.0.1:8443"


def test_flags_win_over_the_file(tmp_path: Path) -> None:
    file = written(tmp_path, 'listen = "127.0.0.1:9000"\n[destinations]\nallow = ["10.0.0.0/8"]\n')
    found = load(file, {"listen": "127.0.0.1:9001", "origin": None})
    assert found.listen == "127.0.0.1:9001"
    assert found.destinations.allow == ("10.0.0.0/8",)
    assert load(file, {"destinations.allow": ("127.0.0.0/8",)}).destinations.allow == ("127.0.0.0/8",)


def test_an_unknown_setting_is_an_error_that_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load(written(tmp_path, 'lisen = "127.0.0.1:9000"\n'), {})
    assert "no setting lisen" in caught.value.message
    assert caught.value.advice == "Did you mean listen?"
    with pytest.raises(SettingsError) as caught:
        load(written(tmp_path, "[limits]\nbody_byte = 5\n"), {})
    assert caught.value.advice == "Did you mean limits.body_bytes?"


@pytest.mark.parametrize(
    "text",
    [
        'database = "postgresql://user:hunter2@db.example/app"',
        'base_url = "https://me:secret@x.example"',
        'database_password = "hunter2"',
        '[objects]\nstore = "s3://key:secret@bucket"',
        'origin = "ht_sk_live_abc"',
    ],
)
def test_a_secret_in_clear_is_refused_and_not_repeated(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(written(tmp_path, text), {})
    assert "hunter2" not in str(caught.value) + caught.value.advice


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('database = "postgresql://db.example/app"', "neither `embedded` nor a secret URI"),
        ('database = "postgres"', "neither `embedded` nor a secret URI"),
        ('tls_cert = "/x.pem"', "go together"),
        ('base_url = "http://x.example"', "not an https URL"),
        ('origin = "https://log.example"', "URL without its scheme"),
        ('[destinations]\nallow = ["loopback"]', "not a network"),
        ("[limits]\nbody_bytes = 0", "body_bytes"),
        ("limits = 3", "limits"),
        ("listen = 8443", "listen"),
        ("not toml", "not TOML"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(written(tmp_path, text), {})
    assert says in caught.value.message
    assert caught.value.advice


def test_a_file_that_was_named_must_exist(tmp_path: Path) -> None:
    assert load(tmp_path / "none.toml", {}) == Settings()
    with pytest.raises(SettingsError, match="cannot be read"):
        load(tmp_path / "none.toml", {}, required=True)


@pytest.mark.parametrize("text", ["8443", ":8443", "host:", "host:0", "host:70000", "host:٣", "host:-1"])
def test_a_listen_address_is_host_and_port(text: str) -> None:
    with pytest.raises(SettingsError):
        parse_listen(text)


def test_an_ipv6_address_stands_in_brackets() -> None:
    assert parse_listen("[::1]:8443") == ("::1", 8443)
    assert load(None, {"listen": "[::1]:8443"}).public_url == "https://[::1]:8443"
    assert load(None, {"listen": "0.0.0.0:443"}).public_url == "https://localhost"


def test_a_secret_comes_from_a_private_file_or_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "dsn"
    file.write_text("host=/run dbname=x\n")
    file.chmod(0o640)
    with pytest.raises(SettingsError, match="others may read it"):
        resolve_secret(f"file:{file}")
    file.chmod(0o600)
    assert resolve_secret(f"file:{file}").reveal() == "host=/run dbname=x"
    monkeypatch.setenv("THE_DSN", "host=/run")
    assert resolve_secret("env:THE_DSN").reveal() == "host=/run"
    with pytest.raises(SettingsError, match="not set"):
        resolve_secret("env:NO_SUCH_DSN")


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("name", " "), ("country", "Germany"), ("country", "de"), ("timezone", "Mars/Olympus"), ("timezone", "../etc"),
        ("website", "http://example.com"), ("security_mail", "nobody"), ("privacy_mail", "a b@example.com"),
    ],
)  # fmt: skip
def test_a_company_that_cannot_be_is_refused(setting: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"company.{setting}"):
        load(None, {f"company.{setting}": value})


def test_without_settings_the_company_says_that_nobody_named_it() -> None:
    unnamed, named = load(None, {}), load(None, {"company.name": "Example", "company.country": "DE"})
    assert (company(unnamed.company).named, "set [company]" in company(unnamed.company).name) == (False, True)
    assert (company(named.company).named, company(named.company).legal_name) == (True, "Example")


def test_every_setting_is_in_the_operators_guide() -> None:
    guide = (Path(__file__).parents[3] / "docs/guides/operator.md").read_text()
    names = [*Settings.__struct_fields__]
    for section in (
        settings.Limits, settings.Destinations, settings.Objects, settings.Leaks, settings.Mail, settings.Portal,
        settings.Posture, settings.Scan, settings.Transforms,
    ):  # fmt: skip
        names += [f"{section.__name__.lower()}.{name}" for name in section.__struct_fields__]
    names += [f"company.{name}" for name in CompanySettings.__struct_fields__]
    names += [f"site.{name}" for name in SiteSettings.__struct_fields__]
    names += [f"disclosure.{name}" for name in settings.Disclosure.__struct_fields__]
    names += [f"evidence.{name}" for name in settings.EvidenceSettings.__struct_fields__]
    sections = {
        "company", "disclosure", "evidence",
        "limits", "destinations", "objects", "edge", "leaks", "mail", "portal", "post", "posture", "site",
        "scan", "transforms",
    }  # fmt: skip
    assert {name for name in names if f"`{name}`" not in guide} == sections
