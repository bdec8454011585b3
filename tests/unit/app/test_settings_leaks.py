"""Who may report leaked keys: named in the settings, their keys read at start, a mistake said with the file's name."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from heldtrue.app.settings import load
from heldtrue.app.settings_leaks import LeakReporter, Leaks, reporters
from heldtrue.kernel.errors import SettingsError


def settings_with(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "heldtrue.toml"
    path.write_text(text)
    return path


def entry(public: Path, **changed: str) -> str:
    found = {"name": "scanner", "key_id": "90a421", "public_key": str(public), "policy": "notify"} | changed
    return "[[leaks.reporters]]\n" + "".join(f'{name} = "{value}"\n' for name, value in found.items())


@pytest.fixture
def public(tmp_path: Path) -> Path:
    path = tmp_path / "scanner.pub"
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    path.write_bytes(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return path


def test_a_reporter_is_read_with_its_key(tmp_path: Path, public: Path) -> None:
    leaks = load(settings_with(tmp_path, entry(public)), {}).leaks
    [reporter] = reporters(leaks)
    assert (reporter.name, reporter.key_id, reporter.policy) == ("scanner", "90a421", "notify")
    public.unlink()
    assert reporters(leaks) == (reporter,), "read once, before the user changes"


def test_nobody_is_believed_by_default_and_a_reporter_revokes_by_default() -> None:
    assert reporters(load(None, {}).leaks) == ()
    assert LeakReporter("a", "b", "c").policy == "revoke"


@pytest.mark.parametrize(
    "changed",
    [{"policy": "ignore"}, {"name": "Two Words"}, {"key_id": ""}, {"key_id": "a b"}, {"secret_key": "x"}],
    ids=["policy", "name", "no-key-id", "key-id", "unknown"],
)
def test_what_is_no_reporter_is_an_error(tmp_path: Path, public: Path, changed: dict[str, str]) -> None:
    with pytest.raises(SettingsError):
        load(settings_with(tmp_path, entry(public, **changed)), {})


def test_a_key_stands_once(tmp_path: Path, public: Path) -> None:
    with pytest.raises(SettingsError, match="90a421"):
        load(settings_with(tmp_path, entry(public) + entry(public, name="again")), {})


def test_a_key_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    missing, wrong = tmp_path / "missing.pub", tmp_path / "wrong.pub"
    wrong.write_text("no key")
    for path in (missing, wrong):
        with pytest.raises(SettingsError, match=path.name):
            reporters(Leaks((LeakReporter("scanner", "90a421", str(path)),)))
