"""Which tokens are a JWS of ours, and which only look like one: each fault beside the sound twin it was made of."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from house import seeded
from hypothesis import given, settings
from hypothesis import strategies as st

from heldtrue.crypto.jws import (
    ED25519,
    EDDSA,
    LONGEST,
    ForbiddenAlgorithmError,
    ForgedSignatureError,
    MalformedJwsError,
    UnknownSignerError,
    decode_part,
    encode_part,
    sign_jws,
    verify_jws,
)
from heldtrue.crypto.signing import SigningKey
from heldtrue.kernel.errors import UnauthenticatedError

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
OURS, THEIRS = (SigningKey.generate(seeded(name), NOON) for name in ("ours", "theirs"))
KID = str(OURS.id)
PAYLOAD = b'{"sub":"user-7","aud":"example"}'
SOUND = sign_jws(OURS, {"typ": "JWT"}, PAYLOAD)
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

# RFC 8037, appendix A: the key of A.2 and the token of A.4, whose header names the older algorithm and no key.
RFC_PUBLIC = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
RFC_TOKEN = (
    "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc."
    "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
)


def key_of(kid: str | None) -> bytes | None:
    return OURS.public if kid == KID else None


def accepts(token: str, algorithms: tuple[str, ...] = (ED25519,)) -> bytes:
    return verify_jws(token, key_of, algorithms)[1]


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(header: Mapping[str, Any] | bytes, payload: bytes = PAYLOAD, key: SigningKey = OURS) -> str:
    """Return a token with a sound signature over whatever header."""
    written = header if isinstance(header, bytes) else json.dumps(header).encode()
    start = f"{b64(written)}.{b64(payload)}"
    return f"{start}.{b64(key.sign(start.encode()))}"


def headed(**more: Any) -> str:
    return signed({"alg": "Ed25519", "kid": KID, **more})


def parts(**changed: str) -> str:
    header, payload, signature = SOUND.split(".")
    found = {"header": header, "payload": payload, "signature": signature} | changed
    return ".".join(found.values())


def with_stray_bits(part: str) -> str:
    """Return another text that a careless decoder takes for the same bytes: other bits after the last byte."""
    assert len(part) % 4 in {2, 3}
    return part[:-1] + LETTERS[LETTERS.index(part[-1]) ^ 1]


def mac(alg: str, key: bytes) -> str:
    """Return a token that is signed by HMAC, the key being what everybody knows."""
    start = f"{b64(json.dumps({'alg': alg, 'kid': KID}).encode())}.{b64(PAYLOAD)}"
    return f"{start}.{b64(hmac.digest(key, start.encode(), hashlib.sha256))}"


HEADER, BODY, SIGNATURE = SOUND.split(".")
GROUP_ORDER = 2**252 + 27742317777372353535851937790883648493


def plus_order() -> str:
    """Return the signature with its second half plus the order of the group: the other text of the same signature."""
    raw = decode_part(SIGNATURE)
    return b64(raw[:32] + (int.from_bytes(raw[32:], "little") + GROUP_ORDER).to_bytes(32, "little"))


JWK = {"kty": "OKP", "crv": "Ed25519", "x": b64(THEIRS.public)}
FAULTS: dict[str, tuple[str, type[UnauthenticatedError]]] = {
    "empty": ("", MalformedJwsError),
    "one part": (HEADER, MalformedJwsError),
    "two parts": (f"{HEADER}.{BODY}", MalformedJwsError),
    "four parts": (f"{SOUND}.", MalformedJwsError),
    "five parts, as of an encrypted token": (f"{SOUND}.AA.AA", MalformedJwsError),
    "JSON serialization": (json.dumps({"payload": BODY, "signatures": []}), MalformedJwsError),
    "missing header": (parts(header=""), MalformedJwsError),
    "missing payload": (parts(payload=""), ForgedSignatureError),
    "missing signature": (parts(signature=""), ForgedSignatureError),
    "altered header": (parts(header=b64(decode_part(HEADER).replace(b"JWT", b"jwt"))), ForgedSignatureError),
    "altered payload": (parts(payload=b64(PAYLOAD.replace(b"user-7", b"user-8"))), ForgedSignatureError),
    "altered signature": (parts(signature=b64(bytes(reversed(decode_part(SIGNATURE))))), ForgedSignatureError),
    "short signature": (parts(signature=b64(decode_part(SIGNATURE)[:-1])), ForgedSignatureError),
    "long signature": (parts(signature=b64(decode_part(SIGNATURE) + b"\0")), ForgedSignatureError),
    "signature of zeros": (parts(signature=b64(bytes(64))), ForgedSignatureError),
    "malleable signature": (parts(signature=plus_order()), ForgedSignatureError),
    "another token's signature": (parts(signature=sign_jws(OURS, {}, b"{}").split(".")[2]), ForgedSignatureError),
    "another key's signature": (signed({"alg": "Ed25519", "kid": KID}, key=THEIRS), ForgedSignatureError),
    "alg none": (parts(header=b64(b'{"alg":"none"}'), signature=""), ForbiddenAlgorithmError),
    "alg None": (signed({"alg": "None", "kid": KID}), ForbiddenAlgorithmError),
    "alg nOnE with a signature": (signed({"alg": "nOnE", "kid": KID}), ForbiddenAlgorithmError),
    "alg empty": (signed({"alg": "", "kid": KID}), ForbiddenAlgorithmError),
    "alg in another case": (signed({"alg": "ed25519", "kid": KID}), ForbiddenAlgorithmError),
    "alg with a space": (signed({"alg": "Ed25519 ", "kid": KID}), ForbiddenAlgorithmError),
    "alg EdDSA where it is not pinned": (signed({"alg": "EdDSA", "kid": KID}), ForbiddenAlgorithmError),
    "alg Ed448": (signed({"alg": "Ed448", "kid": KID}), ForbiddenAlgorithmError),
    "alg ES256": (signed({"alg": "ES256", "kid": KID}), ForbiddenAlgorithmError),
    "alg RS256": (signed({"alg": "RS256", "kid": KID}), ForbiddenAlgorithmError),
    "HS256 with the public key": (mac("HS256", OURS.public), ForbiddenAlgorithmError),
    "HS256 with the public key as text": (mac("HS256", b64(OURS.public).encode()), ForbiddenAlgorithmError),
    "HMAC under the pinned name": (mac("Ed25519", OURS.public), ForgedSignatureError),
    "alg missing": (signed({"kid": KID}), MalformedJwsError),
    "alg a list": (signed({"alg": ["Ed25519"], "kid": KID}), MalformedJwsError),
    "alg null": (signed({"alg": None, "kid": KID}), MalformedJwsError),
    "embedded key": (signed({"alg": "Ed25519", "kid": KID, "jwk": JWK}, key=THEIRS), MalformedJwsError),
    "embedded key, soundly signed": (headed(jwk=JWK), MalformedJwsError),
    "jku": (headed(jku="https://attacker.example/jwks.json"), MalformedJwsError),
    "x5u": (headed(x5u="https://attacker.example/cert.pem"), MalformedJwsError),
    "x5c": (headed(x5c=["MIIB"]), MalformedJwsError),
    "x5t": (headed(x5t="AAAA"), MalformedJwsError),
    "x5t#S256": (headed(**{"x5t#S256": "AAAA"}), MalformedJwsError),
    "crit": (headed(crit=["exp"], exp=1), MalformedJwsError),
    "crit empty": (headed(crit=[]), MalformedJwsError),
    "b64 false": (headed(b64=False, crit=["b64"]), MalformedJwsError),
    "zip": (headed(zip="DEF"), MalformedJwsError),
    "epk, as of an encrypted token": (headed(epk=JWK), MalformedJwsError),
    "no kid": (signed({"alg": "Ed25519"}), UnknownSignerError),
    "unknown kid": (signed({"alg": "Ed25519", "kid": str(THEIRS.id)}, key=THEIRS), UnknownSignerError),
    "empty kid": (signed({"alg": "Ed25519", "kid": ""}), UnknownSignerError),
    "kid a path": (signed({"alg": "Ed25519", "kid": "../../etc/passwd"}), UnknownSignerError),
    "kid a number": (signed({"alg": "Ed25519", "kid": 1}), MalformedJwsError),
    "kid an object": (signed({"alg": "Ed25519", "kid": {"$ne": ""}}), MalformedJwsError),
    "kid with a space": (signed({"alg": "Ed25519", "kid": f"{KID} "}), UnknownSignerError),
    "alg twice": (signed(f'{{"alg":"none","alg":"Ed25519","kid":"{KID}"}}'.encode()), MalformedJwsError),
    "alg twice, escaped": (signed(f'{{"alg":"Ed25519","\\u0061lg":"none","kid":"{KID}"}}'.encode()), MalformedJwsError),
    "kid twice": (signed(f'{{"alg":"Ed25519","kid":"{KID}","kid":"{KID}"}}'.encode()), MalformedJwsError),
    "header an array": (signed(b'["Ed25519"]'), MalformedJwsError),
    "header no JSON": (signed(b"Ed25519"), MalformedJwsError),
    "header with something after it": (signed(f'{{"alg":"Ed25519","kid":"{KID}"}}x'.encode()), MalformedJwsError),
    "header not UTF-8": (signed(b'{"alg":"Ed25519","kid":"\xff"}'), MalformedJwsError),
    "header with a byte order mark": (signed(b'\xef\xbb\xbf{"alg":"Ed25519"}'), MalformedJwsError),
    "header nested too deep": (signed(b'{"alg":' + b"[" * 500 + b"]" * 500 + b"}"), MalformedJwsError),
    "padded signature": (f"{SOUND}==", MalformedJwsError),
    "padded header": (parts(header=HEADER + "=" * (-len(HEADER) % 4 or 4)), MalformedJwsError),
    "stray bits in the signature": (parts(signature=with_stray_bits(SIGNATURE)), MalformedJwsError),
    "stray bits in the payload": (parts(payload=with_stray_bits(BODY)), MalformedJwsError),
    "the other alphabet": (parts(signature=SIGNATURE.replace("_", "/").replace("-", "+") + "+/"), MalformedJwsError),
    "a length that cannot be": (parts(signature=SIGNATURE + "AAA"), MalformedJwsError),
    "leading space": (f" {SOUND}", MalformedJwsError),
    "line feed at the end": (f"{SOUND}\n", MalformedJwsError),
    "space within": (parts(payload=f"{BODY[:4]} {BODY[4:]}"), MalformedJwsError),
    "line break within": (parts(payload=f"{BODY[:4]}\r\n{BODY[4:]}"), MalformedJwsError),
    "a null byte": (parts(signature=f"{SIGNATURE}\0"), MalformedJwsError),
    "not ASCII": (parts(signature=f"{SIGNATURE[:-1]}é"), MalformedJwsError),
    "digits of another script": (parts(signature=f"{SIGNATURE[:-1]}٣"), MalformedJwsError),
    "too long": (signed({"alg": "Ed25519", "kid": KID}, b"x" * LONGEST), MalformedJwsError),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_token_is_refused_beside_its_sound_twin(fault: str) -> None:
    token, error = FAULTS[fault]
    assert accepts(SOUND) == PAYLOAD
    with pytest.raises(error) as refused:
        accepts(token)
    assert type(refused.value) is error
    assert SIGNATURE not in str(refused.value)


def test_the_key_is_not_looked_up_for_an_algorithm_that_is_not_pinned() -> None:
    def never(_kid: str | None) -> bytes | None:
        raise AssertionError

    with pytest.raises(ForbiddenAlgorithmError):
        verify_jws(mac("HS256", OURS.public), never, (ED25519,))


def test_the_example_of_rfc_8037_is_accepted_by_who_pins_its_algorithm() -> None:
    def rfc_key(kid: str | None) -> bytes | None:
        return decode_part(RFC_PUBLIC) if kid is None else None

    header, payload = verify_jws(RFC_TOKEN, rfc_key, (EDDSA,))
    assert (header, payload) == ({"alg": "EdDSA"}, b"Example of Ed25519 signing")
    with pytest.raises(ForbiddenAlgorithmError):
        verify_jws(RFC_TOKEN, rfc_key, (ED25519,))


@pytest.mark.parametrize("algorithms", [(), ("HS256",), ("Ed25519", "none")], ids=["none", "mac", "none-beside"])
def test_a_verifier_without_a_sound_choice_is_a_mistake_of_the_program(algorithms: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="Ed25519 only"):
        accepts(SOUND, algorithms)


@given(st.binary(max_size=40))
def test_every_text_of_a_part_means_other_bytes(data: bytes) -> None:
    assert decode_part(encode_part(data)) == data
    assert encode_part(data) == b64(data)


@given(st.text(LETTERS + "=+/ \n", max_size=12))
def test_a_part_is_read_in_one_way_or_not_at_all(text: str) -> None:
    try:
        data = decode_part(text)
    except MalformedJwsError:
        return
    assert b64(data) == text


@settings(max_examples=150)
@given(st.integers(0, len(SOUND) - 1), st.sampled_from(LETTERS + ".=+/ "))
def test_no_single_letter_can_be_another(at: int, letter: str) -> None:
    if SOUND[at] == letter:
        return
    with pytest.raises(UnauthenticatedError):
        accepts(SOUND[:at] + letter + SOUND[at + 1 :])


def _refuses(check: Callable[[], object]) -> bool:
    try:
        check()
    except UnauthenticatedError:
        return True
    return False


def test_an_ordinary_decoder_would_have_taken_some_of_them() -> None:
    """The twins with loose base64 are the same bytes to a careless reader: that is why they are refused."""
    loose = with_stray_bits(SIGNATURE)
    assert base64.urlsafe_b64decode(loose + "==") == base64.urlsafe_b64decode(SIGNATURE + "==")
    assert _refuses(lambda: accepts(parts(signature=loose)))
