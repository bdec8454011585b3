"""Valkey over TLS is believed only when its certificate is verified in full; no option of the URL leaves that out.

The server that the tests have was built without TLS, so the TLS ends in front of it: what is tried is the client.
"""

from __future__ import annotations

import secrets
from collections.abc import Generator
from pathlib import Path

import pytest
from certificates import key_and_cert, write
from tls_front import tls_front
from valkey_server import Valkey

from heldtrue.capabilities.edge.leases import Ask
from heldtrue.capabilities.edge.lessors import ValkeyLessor
from heldtrue.capabilities.edge.limits import LimiterUnavailableError
from heldtrue.kernel.errors import SettingsError
from heldtrue.kernel.secret import Secret


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("tls")
    write(home, "stranger", *key_and_cert("stranger", None))
    authority = key_and_cert("ours", None)
    write(home, "ours", *authority)
    write(home, "named", *key_and_cert("localhost", authority, host=True))
    write(home, "other", *key_and_cert("valkey.example", authority, host=True))
    return home


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Generator[Valkey]:
    server = Valkey(tmp_path_factory.mktemp("valkey"))
    server.start()
    yield server
    server.stop()


def leased(files: Path, valkey: Valkey, cert: str, query: str) -> int:
    with tls_front(files / f"{cert}.pem", files / f"{cert}.key", valkey.socket) as port:
        lessor = ValkeyLessor(Secret(f"rediss://localhost:{port}/0{query.format(files=files)}"))
        try:
            return lessor.lease([Ask(secrets.token_bytes(16), 7, 1000.0, 10)])[0].granted
        finally:
            lessor.close()


def test_a_server_whose_certificate_is_verified_shares_out(files: Path, valkey: Valkey) -> None:
    assert leased(files, valkey, "named", "?ssl_ca_certs={files}/ours.pem") == 7


@pytest.mark.parametrize(
    ("cert", "query"),
    [
        pytest.param("other", "?ssl_ca_certs={files}/ours.pem", id="another-name"),
        pytest.param("named", "?ssl_ca_certs={files}/stranger.pem", id="another-authority"),
        pytest.param("named", "", id="no-known-authority"),
    ],
)
def test_a_server_that_proves_nothing_is_refused_and_so_is_the_request(
    files: Path, valkey: Valkey, cert: str, query: str
) -> None:
    with pytest.raises(LimiterUnavailableError) as refused:
        leased(files, valkey, cert, query)
    assert "CERTIFICATE_VERIFY_FAILED" in str(refused.value.__cause__)


@pytest.mark.parametrize(
    "option", ["ssl_cert_reqs=none", "ssl_check_hostname=false", "ssl_ca_certs=/a&ssl_min_version=1", "ssl_ca_certs"]
)
def test_no_option_of_the_url_leaves_the_verification_out(option: str) -> None:
    with pytest.raises(SettingsError):
        ValkeyLessor(Secret(f"rediss://localhost:6379/0?{option}"))
