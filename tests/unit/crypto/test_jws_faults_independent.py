"""Each class of fault that JWS test collections know, rebuilt with Ed25519 beside a twin without it that is accepted.

The classes are those of Wycheproof's `json_web_signature_test` and `json_web_key_test`, of RFC 8725 (JWT best current
practices), section 2, and of the attacks published on JOSE libraries. Tokens are made here by hand, from bytes, and
signed validly where that can be, so that only the fault itself can be the reason of a refusal.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from heldtrue.crypto.jws import verify_jws
from heldtrue.kernel.errors import UnauthenticatedError

OURS = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
THEIRS = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
PUBLIC = OURS.public_key().public_bytes_raw()
KID = "key-1"
HEADER = b'{"alg":"Ed25519","kid":"key-1","typ":"JWT"}'
PAYLOAD = b'{"sub":"user-7","amount":1200}'
ORDER = 2**252 + 27742317777372353535851937790883648493
"""The order of the base point (RFC 8032, section 5.1)."""


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@dataclass(frozen=True)
class Made:
    """A token in its parts as they are written; signed last, over whatever they are."""

    header: str = b64(HEADER)
    payload: str = b64(PAYLOAD)
    signer: Callable[[bytes], bytes] = OURS.sign
    signature: Callable[[bytes], str] = b64
    joined: str = "{header}.{payload}.{signature}"

    def __str__(self) -> str:
        signature = self.signature(self.signer(f"{self.header}.{self.payload}".encode()))
        return self.joined.format(header=self.header, payload=self.payload, signature=signature)


def key_of(kid: str | None) -> bytes | None:
    return PUBLIC if kid == KID else None


def accepted(token: str, algorithms: tuple[str, ...] = ("Ed25519",)) -> bool:
    try:
        _, payload = verify_jws(token, key_of, algorithms)
    except UnauthenticatedError:
        return False
    assert payload == PAYLOAD
    return True


TWIN = Made()


def header(**changed: object) -> Made:
    """Return the twin with a changed header, validly signed; None: without the parameter."""
    said = {**json.loads(HEADER), **changed}
    kept = {name: value for name, value in said.items() if value is not None}
    return replace(TWIN, header=b64(json.dumps(kept, separators=(",", ":")).encode()))


def raw_header(text: bytes) -> Made:
    return replace(TWIN, header=b64(text))


def jwk(key: Ed25519PrivateKey) -> dict[str, str]:
    return {"kty": "OKP", "crv": "Ed25519", "x": b64(key.public_key().public_bytes_raw())}


def hs256(secret: bytes, **changed: object) -> Made:
    return replace(header(alg="HS256", **changed), signer=lambda signed: hmac.digest(secret, signed, hashlib.sha256))


def es256(signed: bytes) -> bytes:
    r, s = decode_dss_signature(P256.sign(signed, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32) + s.to_bytes(32)


P256 = ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(65537, 2048)
PEM = OURS.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
DER = OURS.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def bit(data: bytes, at: int) -> bytes:
    changed = bytearray(data)
    changed[at // 8] ^= 1 << at % 8
    return bytes(changed)


def swap_last(text: str) -> str:
    """Return base64url text that loose decoders read the same: its last letter has bits set that mean nothing."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    assert len(text) % 4 in {2, 3}
    return text[:-1] + letters[letters.index(text[-1]) + 1]


def high_s(signature: bytes) -> bytes:
    """Return the signature with S + L: the same equation, another encoding (RFC 8032, section 5.1.7 forbids it)."""
    return signature[:32] + (int.from_bytes(signature[32:], "little") + ORDER).to_bytes(32, "little")


def over_another(changed: Made) -> Made:
    """Return *changed* under the signature of the twin: content that nobody signed."""
    return replace(changed, signer=lambda _: OURS.sign(f"{TWIN.header}.{TWIN.payload}".encode()))


FAULTS: dict[str, Made] = {
    # altered
    "another payload under the old signature": over_another(replace(TWIN, payload=b64(PAYLOAD[:-2] + b"1}"))),
    "another header under the old signature": over_another(header(typ="at+jwt")),
    "the same header, written otherwise, under the old signature": over_another(raw_header(HEADER + b" ")),
    "a first bit of R flipped": replace(TWIN, signer=lambda m: bit(OURS.sign(m), 0)),
    "a last bit of R flipped": replace(TWIN, signer=lambda m: bit(OURS.sign(m), 255)),
    "a bit of S flipped": replace(TWIN, signer=lambda m: bit(OURS.sign(m), 256)),
    "another key's signature": replace(TWIN, signer=THEIRS.sign),
    "a signature over the payload only": replace(TWIN, signer=lambda m: OURS.sign(m.split(b".")[1])),
    "a signature over the decoded parts": replace(TWIN, signer=lambda m: OURS.sign(HEADER + b"." + PAYLOAD)),
    "a signature over a digest (Ed25519ph's mistake)": replace(
        TWIN, signer=lambda m: OURS.sign(hashlib.sha512(m).digest())
    ),
    # missing and too many parts
    "no signature part": replace(TWIN, joined="{header}.{payload}"),
    "an empty signature": replace(TWIN, joined="{header}.{payload}."),
    "an empty payload under the old signature": replace(TWIN, joined="{header}..{signature}"),
    "an empty header": replace(TWIN, header=""),
    "only dots": replace(TWIN, joined=".."),
    "nothing": replace(TWIN, joined=""),
    "one part": replace(TWIN, joined="{payload}"),
    "a fourth part": replace(TWIN, joined="{header}.{payload}.{signature}.{signature}"),
    "an empty fourth part": replace(TWIN, joined="{header}.{payload}.{signature}."),
    "five parts, as a JWE": replace(TWIN, joined="{header}.{payload}.{signature}.{payload}.{signature}"),
    "a dot before it": replace(TWIN, joined=".{header}.{payload}.{signature}"),
    "payload and signature swapped": replace(TWIN, joined="{header}.{signature}.{payload}"),
    "the JSON serialisation": replace(
        TWIN, joined='{{"protected":"{header}","payload":"{payload}","signature":"{signature}"}}'
    ),
    # none, and other algorithms
    **{
        f"alg {name!r}, no signature": replace(header(alg=name), signature=lambda _: "")
        for name in ("none", "None", "NONE", "nOnE", "none ", " none", "", "null")
    },
    **{f"alg {name!r}, validly signed": header(alg=name) for name in ("none", "None", "NONE", "nOnE")},
    **{
        f"alg {name!r}, validly signed": header(alg=name)
        for name in ("EdDSA", "ED25519", "ed25519", "Ed25519 ", "Ed25519ph", "Ed448", "HS256", "ES256", "RS256", "")
    },
    "no alg": header(alg=None),
    "alg is null": raw_header(b'{"alg":null,"kid":"key-1"}'),
    "alg is a number": header(alg=0),
    "alg is a list with it": header(alg=["Ed25519"]),
    "alg is an object": header(alg={"Ed25519": True}),
    "alg is true": header(alg=True),
    "HS256 with the public key's bytes as secret": hs256(PUBLIC),
    "HS256 with the public key's base64url as secret": hs256(b64(PUBLIC).encode()),
    "HS256 with the public key's hex as secret": hs256(PUBLIC.hex().encode()),
    "HS256 with the public key's PEM as secret": hs256(PEM),
    "HS256 with the public key's DER as secret": hs256(DER),
    "HS256 with an empty secret": hs256(b""),
    "an HMAC under the name of Ed25519": replace(
        TWIN, signer=lambda m: hmac.digest(PUBLIC, m, hashlib.sha512)
    ),
    "ES256, a valid one of another key": replace(header(alg="ES256"), signer=es256),
    "ES256 under the name of Ed25519": replace(TWIN, signer=es256),
    "ES256 with r = s = 0": replace(header(alg="ES256"), signer=lambda _: bytes(64)),
    "RS256, a valid one of another key": replace(
        header(alg="RS256"), signer=lambda m: RSA.sign(m, PKCS1v15(), hashes.SHA256())
    ),
    # keys that come along
    "an embedded jwk that verifies it": replace(header(jwk=jwk(THEIRS)), signer=THEIRS.sign),
    "an embedded jwk that verifies it, without kid": replace(header(jwk=jwk(THEIRS), kid=None), signer=THEIRS.sign),
    "an embedded jwk of our own key": header(jwk=jwk(OURS)),
    "an embedded jwk that is an oct key": hs256(b"k" * 32, jwk={"kty": "oct", "k": b64(b"k" * 32)}),
    "jku": header(jku="https://attacker.example/jwks.json"),
    "x5u": header(x5u="https://attacker.example/cert.pem"),
    "x5c": header(x5c=[base64.b64encode(DER).decode()]),
    "x5t": header(x5t=b64(hashlib.sha1(DER, usedforsecurity=False).digest())),
    "x5t#S256": header(**{"x5t#S256": b64(hashlib.sha256(DER).digest())}),
    "no kid": header(kid=None),
    "an unknown kid": header(kid="key-2"),
    "an empty kid": header(kid=""),
    "a kid that is a path": header(kid="../../dev/null"),
    "a kid that is SQL": header(kid="key-1' OR '1'='1"),
    "a kid in another case": header(kid="KEY-1"),
    "a kid with a space after it": header(kid="key-1 "),
    "a kid with NUL after it": header(kid="key-1\0"),
    "a kid that is a list": header(kid=["key-1"]),
    "a kid that is a number": header(kid=1),
    # what must be understood
    "crit names what nobody knows": header(crit=["exp2"], exp2=1),
    "crit names exp": header(crit=["exp"], exp=1),
    "crit is empty": header(crit=[]),
    "crit names what is not there": header(crit=["b64"]),
    "crit names a registered parameter": header(crit=["alg"]),
    "crit is no list": header(crit="b64"),
    "b64 false, by RFC 7797": replace(
        header(b64=False, crit=["b64"]), payload=PAYLOAD.decode()
    ),
    "b64 false without crit": header(b64=False),
    "b64 true with crit": header(b64=True, crit=["b64"]),
    "a detached payload": replace(header(typ="JOSE"), joined="{header}..{signature}"),
    "zip": header(zip="DEF"),
    "enc, as a JWE": header(enc="A256GCM"),
    # a header that two readers read differently
    "alg twice, the bad one first": raw_header(b'{"alg":"none","alg":"Ed25519","kid":"key-1"}'),
    "alg twice, the bad one last": raw_header(b'{"alg":"Ed25519","alg":"none","kid":"key-1"}'),
    "alg twice, both good": raw_header(b'{"alg":"Ed25519","alg":"Ed25519","kid":"key-1"}'),
    "alg twice, once escaped": raw_header(b'{"alg":"Ed25519","\\u0061lg":"none","kid":"key-1"}'),
    "kid twice": raw_header(b'{"alg":"Ed25519","kid":"key-2","kid":"key-1"}'),
    "ALG beside alg": raw_header(b'{"ALG":"none","alg":"Ed25519","kid":"key-1"}'),
    "something after the object": raw_header(HEADER + b"{}"),
    "NUL after the object": raw_header(HEADER + b"\0"),
    "a byte order mark": raw_header(b"\xef\xbb\xbf" + HEADER),
    "UTF-16": raw_header(HEADER.decode().encode("utf-16")),
    "invalid UTF-8": raw_header(HEADER[:-1] + b',"cty":"\xff"}'),
    "a lone surrogate": raw_header(HEADER[:-1] + b',"cty":"\\ud800"}'),
    "a comment": raw_header(b"/**/" + HEADER),
    "single quotes": raw_header(HEADER.replace(b'"', b"'")),
    "a trailing comma": raw_header(HEADER[:-1] + b",}"),
    "NaN": raw_header(HEADER[:-1] + b',"n":NaN}'),
    "a list": raw_header(b"[" + HEADER + b"]"),
    "a string": raw_header(b'"Ed25519"'),
    "null": raw_header(b"null"),
    "an empty object": raw_header(b"{}"),
    "no JSON": raw_header(b"Ed25519"),
    "nesting without end": raw_header(HEADER[:-1] + b',"a":' + b"[" * 5000 + b"]" * 5000 + b"}"),
    # loose base64url; each is signed over the loose text, so a loose reader would accept it
    "padding after the header": replace(TWIN, header=b64(HEADER) + "=" * (-len(b64(HEADER)) % 4 or 4)),
    "padding after the payload": replace(TWIN, payload=b64(PAYLOAD) + "=" * (-len(b64(PAYLOAD)) % 4 or 4)),
    "padding after the signature": replace(TWIN, signature=lambda s: b64(s) + "=="),
    "one padding letter too few after the signature": replace(TWIN, signature=lambda s: b64(s) + "="),
    "the signature in the ordinary alphabet": replace(
        TWIN, payload=b64(PAYLOAD), signature=lambda s: b64(s).replace("-", "+").replace("_", "/") + "+/"
    ),
    "the signature in hex": replace(TWIN, signature=lambda s: s.hex()),
    "the payload not encoded": replace(TWIN, payload=PAYLOAD.decode()),
    "the payload encoded twice": replace(TWIN, signature=lambda s: b64(b64(s).encode())),
    **{
        f"{what} in the {part}": replace(TWIN, **{part: b64(data)[:7] + letters + b64(data)[7:]})
        for what, letters in {
            "a space": " ", "a line feed": "\n", "CR LF": "\r\n", "a tab": "\t", "NUL": "\0",
            "a full-width letter": "Ａ",
            "a non-breaking space": "\u00a0", "an asterisk": "*", "a percent escape": "%41", "a comma": ",",
        }.items()
        for part, data in {"header": HEADER, "payload": PAYLOAD}.items()
    },
    "a line feed in the signature": replace(TWIN, signature=lambda s: b64(s)[:40] + "\n" + b64(s)[40:]),
    "a line feed after it": replace(TWIN, joined="{header}.{payload}.{signature}\n"),
    "a space before it": replace(TWIN, joined=" {header}.{payload}.{signature}"),
    "a space after it": replace(TWIN, joined="{header}.{payload}.{signature} "),
    "stray bits at the end of the signature": replace(TWIN, signature=lambda s: swap_last(b64(s))),
    "a letter too many in the payload": replace(TWIN, payload=b64(PAYLOAD) + "A" * (1 + -len(b64(PAYLOAD)) % 4)),
    # signatures that are none
    "63 bytes": replace(TWIN, signer=lambda m: OURS.sign(m)[:63]),
    "65 bytes": replace(TWIN, signer=lambda m: OURS.sign(m) + b"\0"),
    "the signature twice": replace(TWIN, signer=lambda m: OURS.sign(m) * 2),
    "only R": replace(TWIN, signer=lambda m: OURS.sign(m)[:32]),
    "all zero": replace(TWIN, signer=lambda _: bytes(64)),
    "all ones": replace(TWIN, signer=lambda _: b"\xff" * 64),
    "R the neutral element, S zero": replace(TWIN, signer=lambda _: b"\1" + bytes(63)),
    "S beyond the order (malleable)": replace(TWIN, signer=lambda m: high_s(OURS.sign(m))),
    "S and R swapped": replace(TWIN, signer=lambda m: OURS.sign(m)[32:] + OURS.sign(m)[:32]),
    "S zero": replace(TWIN, signer=lambda m: OURS.sign(m)[:32] + bytes(32)),
    "S negated": replace(
        TWIN,
        signer=lambda m: OURS.sign(m)[:32]
        + (ORDER - int.from_bytes(OURS.sign(m)[32:], "little")).to_bytes(32, "little"),
    ),
    "R negated": replace(TWIN, signer=lambda m: bit(OURS.sign(m), 255)),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_the_fault_is_refused_beside_a_twin_that_is_accepted(fault: str) -> None:
    assert accepted(str(TWIN))
    token = str(FAULTS[fault])
    assert token != str(TWIN)
    assert not accepted(token)
    assert accepted(str(TWIN))


def test_stray_bits_are_refused_in_header_and_payload_too() -> None:
    """Written with a letter more or less, so that both parts have bits to spare."""
    for part, data in (("header", HEADER), ("payload", PAYLOAD)):
        for spaces in range(3):
            text = b64(data[:-1] + b" " * spaces + b"}")
            if len(text) % 4 == 0:
                continue
            twin = replace(TWIN, **{part: text})
            header_out, payload_out = verify_jws(str(twin), key_of, ("Ed25519",))
            assert (header_out["kid"], json.loads(payload_out)) == (KID, json.loads(PAYLOAD))
            loose = replace(TWIN, **{part: swap_last(text)})
            with pytest.raises(UnauthenticatedError):
                verify_jws(str(loose), key_of, ("Ed25519",))


def test_both_alphabets_are_not_the_same() -> None:
    """The payload has letters that base64 and base64url write differently."""
    data = b"\xfb\xff\xfe" * 4
    twin = replace(TWIN, payload=b64(data))
    assert verify_jws(str(twin), key_of, ("Ed25519",))[1] == data
    loose = replace(TWIN, payload=base64.b64encode(data).decode())
    assert loose.payload != twin.payload
    with pytest.raises(UnauthenticatedError):
        verify_jws(str(loose), key_of, ("Ed25519",))


LOW_ORDER = (
    "0100000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "0100000000000000000000000000000000000000000000000000000000000080",  # and written non-canonically
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
)
"""Every encoding of a point of small order: under such a key a signature by nobody verifies for many messages."""


@pytest.mark.parametrize("encoded", LOW_ORDER)
def test_nobody_signs_for_a_key_of_small_order(encoded: str) -> None:
    """For R among the small-order points and S = 0 the equation holds for one message in eight at least: try 64."""
    public = bytes.fromhex(encoded)
    for point in LOW_ORDER:
        for number in range(64):
            forged = replace(TWIN, payload=b64(b"%d" % number), signer=lambda _, r=point: bytes.fromhex(r) + bytes(32))
            with pytest.raises(UnauthenticatedError):
                verify_jws(str(forged), lambda _: public, ("Ed25519",))


def test_the_public_key_must_be_a_key() -> None:
    for public in (b"", PUBLIC[:31], PUBLIC + b"\0", DER, b"\xff" * 32, b64(PUBLIC).encode()):
        with pytest.raises(UnauthenticatedError):
            verify_jws(str(TWIN), lambda _, k=public: k, ("Ed25519",))


EXAMPLE = (
    "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4"
    "iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
)
EXAMPLE_KEY = base64.urlsafe_b64decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo=")


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
def test_rfc_8037_appendix_a_4_is_accepted_by_who_pins_its_name_only() -> None:
    said, payload = verify_jws(EXAMPLE, lambda kid: EXAMPLE_KEY if kid is None else None, ("EdDSA",))
    assert (said, payload) == ({"alg": "EdDSA"}, b"Example of Ed25519 signing")
    with pytest.raises(UnauthenticatedError):
        verify_jws(EXAMPLE, lambda _: EXAMPLE_KEY, ("Ed25519",))
    for at in range(0, len(EXAMPLE), 7):
        other = "B" if EXAMPLE[at] != "B" else "C"
        with pytest.raises(UnauthenticatedError):
            verify_jws(EXAMPLE[:at] + other + EXAMPLE[at + 1 :], lambda _: EXAMPLE_KEY, ("EdDSA",))


@pytest.mark.parametrize("algorithms", [(), ("none",), ("HS256",), ("Ed25519", "HS256"), ("ES256",)])
def test_nobody_can_pin_what_is_not_ed25519(algorithms: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="Ed25519"):
        verify_jws(str(TWIN), key_of, algorithms)


def test_the_fault_list_covers_what_it_promises() -> None:
    assert len(FAULTS) > 120
    tokens = [str(made) for made in FAULTS.values()]
    assert len(set(tokens)) > len(tokens) - 8, "classes that are the same token are no classes"
