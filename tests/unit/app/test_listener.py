"""The socket and its certificate."""

from __future__ import annotations

import socket
from datetime import UTC, datetime
from pathlib import Path

import pytest

from heldtrue.app import listener
from heldtrue.app.listener import CertificateFiles, PortTakenError
from heldtrue.crypto.tls import ensure_local_authority
from heldtrue.kernel.errors import SettingsError


def test_a_taken_port_is_an_error_and_not_shared() -> None:
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as other:
        with pytest.raises(PortTakenError) as caught:
            listener.bind("127.0.0.1", other.getsockname()[1])
        assert "--listen" in caught.value.advice


def test_an_address_of_another_machine_is_an_error() -> None:
    with pytest.raises(SettingsError, match="cannot listen"):
        listener.bind("192.0.2.1", 8443)
    with pytest.raises(SettingsError, match="not an address"):
        listener.bind("no-such-host.invalid", 8443)


def files(folder: Path) -> CertificateFiles:
    made = ensure_local_authority(folder, datetime.now(UTC))
    return CertificateFiles(made.cert, made.key)


def test_a_pair_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    one, other = files(tmp_path / "one"), files(tmp_path / "other")
    assert b"CERTIFICATE" in one.read().chain
    with pytest.raises(SettingsError, match="not a certificate and its key"):
        CertificateFiles(one.cert, other.key).read()
    with pytest.raises(SettingsError, match="cannot be read"):
        CertificateFiles(tmp_path / "none.pem", one.key).read()
    assert "PRIVATE" not in repr(one.read())


def test_a_replaced_file_is_noticed_and_a_missing_one_is_waited_for(tmp_path: Path) -> None:
    watched = files(tmp_path)
    watched.read()
    assert not watched.changed()
    content = watched.cert.read_bytes()
    watched.cert.unlink()
    assert not watched.changed()
    watched.cert.write_bytes(content)
    assert watched.changed()
    watched.read()
    assert not watched.changed()
