"""TLS for localhost: real handshakes with the certificate that first start makes."""

from __future__ import annotations

import socket
import ssl
import stat
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from heldtrue.crypto import tls
from heldtrue.crypto.tls import RENEW_BEFORE, TlsFiles, ensure_local_authority

NOW = datetime.now(UTC).replace(microsecond=0)


def handshake(files: TlsFiles, name: str, trusted: Path, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> str:
    """Shake hands with a server that has *files*; return the version agreed on."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.minimum_version = ssl.TLSVersion.TLSv1_2
    server.load_cert_chain(files.cert, files.key)
    client = ssl.create_default_context(cafile=str(trusted))
    client.maximum_version = version
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    here, there = socket.socketpair()

    def serve() -> None:
        try:
            with server.wrap_socket(there, server_side=True) as wrapped:
                wrapped.recv(1)
        except OSError:
            there.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with client.wrap_socket(here, server_hostname=name) as wrapped:
            return str(wrapped.version())
    finally:
        here.close()
        thread.join()


def certificate(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


@pytest.fixture
def files(tmp_path: Path) -> TlsFiles:
    return ensure_local_authority(tmp_path / "tls", NOW)


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1"])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_client_that_trusts_the_authority_connects(files: TlsFiles, name: str, version: ssl.TLSVersion) -> None:
    assert handshake(files, name, files.ca, version) == {771: "TLSv1.2", 772: "TLSv1.3"}[version]


@pytest.mark.parametrize("name", ["example.org", "127.0.0.2", "sub.localhost"])
def test_the_certificate_is_for_no_other_name(files: TlsFiles, name: str) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(files, name, files.ca)


def test_another_machines_authority_does_not_vouch_for_it(files: TlsFiles, tmp_path: Path) -> None:
    other = ensure_local_authority(tmp_path / "other", NOW)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(files, "localhost", other.ca)


def test_the_key_is_p256_in_pkcs8_and_for_its_owner_alone(files: TlsFiles) -> None:
    assert files.key.read_bytes().startswith(b"-----BEGIN PRIVATE KEY-----")
    key = load_pem_private_key(files.key.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert isinstance(key.curve, ec.SECP256R1)
    assert stat.S_IMODE(files.key.stat().st_mode) == 0o600


def test_the_authoritys_key_is_kept_nowhere(files: TlsFiles) -> None:
    assert sorted(path.name for path in files.ca.parent.iterdir()) == ["ca.pem", "cert.pem", "key.pem"]
    key = load_pem_private_key(files.key.read_bytes(), None)
    assert certificate(files.ca).public_key() != key.public_key()


def test_the_authority_is_bound_to_localhost(files: TlsFiles) -> None:
    constraints = certificate(files.ca).extensions.get_extension_for_class(x509.NameConstraints)
    assert constraints.critical
    assert {str(name.value) for name in constraints.value.permitted_subtrees or []} == {
        "localhost",
        "127.0.0.1/32",
        "::1/128",
    }


def test_a_good_certificate_is_kept(files: TlsFiles) -> None:
    before = files.cert.read_bytes()
    assert ensure_local_authority(files.ca.parent, NOW + timedelta(days=300)) == files
    assert files.cert.read_bytes() == before


def test_it_is_renewed_thirty_days_before_its_end(files: TlsFiles) -> None:
    before = files.cert.read_bytes()
    end = certificate(files.cert).not_valid_after_utc
    ensure_local_authority(files.ca.parent, end - RENEW_BEFORE - timedelta(seconds=1))
    assert files.cert.read_bytes() == before
    ensure_local_authority(files.ca.parent, end - RENEW_BEFORE)
    assert files.cert.read_bytes() != before


def test_a_certificate_of_the_future_is_made_anew(files: TlsFiles) -> None:
    before = files.cert.read_bytes()
    ensure_local_authority(files.ca.parent, NOW - timedelta(days=1))
    assert files.cert.read_bytes() != before


@pytest.mark.parametrize("name", ["ca.pem", "cert.pem", "key.pem"])
@pytest.mark.parametrize("damage", ["missing", "empty", "another's"])
def test_files_that_do_not_belong_together_are_made_anew(
    files: TlsFiles, tmp_path: Path, name: str, damage: str
) -> None:
    path = files.ca.parent / name
    if damage == "missing":
        path.unlink()
    elif damage == "empty":
        path.write_bytes(b"")
    else:
        ensure_local_authority(tmp_path / "other", NOW)
        path.write_bytes((tmp_path / "other" / name).read_bytes())
    ensure_local_authority(files.ca.parent, NOW)
    assert handshake(files, "localhost", files.ca) == "TLSv1.3"


def test_a_certificate_for_other_names_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after an upgrade that adds a name."""
    with monkeypatch.context() as patched:
        patched.setattr(tls, "_NAMES", x509.SubjectAlternativeName([x509.DNSName("localhost")]))
        files = ensure_local_authority(tmp_path / "tls", NOW)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(files, "127.0.0.1", files.ca)
    ensure_local_authority(tmp_path / "tls", NOW)
    assert handshake(files, "127.0.0.1", files.ca) == "TLSv1.3"


def test_a_key_that_others_could_read_is_not_used_again(files: TlsFiles) -> None:
    before = files.key.read_bytes()
    files.key.chmod(0o644)
    ensure_local_authority(files.ca.parent, NOW)
    assert files.key.read_bytes() != before
    assert stat.S_IMODE(files.key.stat().st_mode) == 0o600
