"""TLS for localhost: a certificate authority of this machine's own, made at first start.

The authority signs one certificate and its key is forgotten at once, so that nobody, we included, can sign
another with it. Renewal therefore makes a new authority, which clients have to be told of, every eleven months.
The authority can vouch for localhost only (RFC 5280, section 4.2.1.10); real names need `--tls-cert` and `--tls-key`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFETIME = timedelta(days=365)
RENEW_BEFORE = timedelta(days=30)
CLOCK_SKEW = timedelta(hours=1)
"""How far a client's clock may be behind ours."""

_NAMES = x509.SubjectAlternativeName(
    [x509.DNSName("localhost"), x509.IPAddress(IPv4Address("127.0.0.1")), x509.IPAddress(IPv6Address("::1"))]
)
_CONSTRAINTS = x509.NameConstraints(
    permitted_subtrees=[
        x509.DNSName("localhost"),
        x509.IPAddress(IPv4Network("127.0.0.1/32")),
        x509.IPAddress(IPv6Network("::1/128")),
    ],
    excluded_subtrees=None,
)


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Where the authority, the certificate and its private key lie, all in PEM."""

    ca: Path
    cert: Path
    key: Path


def ensure_local_authority(directory: Path, now: datetime) -> TlsFiles:
    """Return the certificate for localhost in *directory*, made anew unless the present one is good for 30 days.

    A crash between two of the three writes leaves files that do not belong together; the next start sees it and makes
    all three anew.
    """
    directory.mkdir(mode=0o755, parents=True, exist_ok=True)
    files = TlsFiles(directory / "ca.pem", directory / "cert.pem", directory / "key.pem")
    if not _usable(files, now):
        _make(files, now)
    return files


def expires_at(chain: bytes) -> datetime:
    """Return when the first certificate of a PEM *chain* ends; raise `ValueError` for what is none."""
    return x509.load_pem_x509_certificates(chain)[0].not_valid_after_utc


def names_in(chain: bytes) -> list[str]:
    """Return the host names that the first certificate of a PEM *chain* vouches for; raise `ValueError` for none."""
    extensions = x509.load_pem_x509_certificates(chain)[0].extensions
    try:
        names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return names.get_values_for_type(x509.DNSName)


def _usable(files: TlsFiles, now: datetime) -> bool:
    """Tell whether the three files belong together, and the certificate is good for long enough."""
    try:
        authority = x509.load_pem_x509_certificate(files.ca.read_bytes())
        certificate = x509.load_pem_x509_certificate(files.cert.read_bytes())
        key = load_pem_private_key(files.key.read_bytes(), None)
        certificate.verify_directly_issued_by(authority)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False
    return (
        key.public_key() == certificate.public_key()
        and names == _NAMES
        and certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc - RENEW_BEFORE
        and files.key.stat().st_mode & 0o177 == 0
    )


def _make(files: TlsFiles, now: datetime) -> None:
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority_name = _name("Heldtrue local authority " + now.strftime("%Y-%m-%d"))
    authority = (
        _template(authority_name, authority_name, authority_key.public_key(), authority_key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(_CONSTRAINTS, critical=True)
        .sign(authority_key, SHA256())
    )
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        _template(_name("localhost"), authority_name, key.public_key(), authority_key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(_NAMES, critical=False)
        .sign(authority_key, SHA256())
    )
    _replace(files.key, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), 0o600)
    _replace(files.cert, certificate.public_bytes(Encoding.PEM), 0o644)
    _replace(files.ca, authority.public_bytes(Encoding.PEM), 0o644)


def _template(
    subject: x509.Name,
    issuer: x509.Name,
    public: ec.EllipticCurvePublicKey,
    issuer_public: ec.EllipticCurvePublicKey,
    now: datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_public), critical=False)
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _replace(path: Path, data: bytes, mode: int) -> None:
    """Put *data* in the place of *path* in one step, never readable more widely than *mode*."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(file.fileno(), mode)
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
