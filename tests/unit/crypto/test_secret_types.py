"""A law: every type that holds key material refuses to print, to be pickled, copied or serialised."""

from __future__ import annotations

import base64
import copy
import importlib
import inspect
import pickle
import pkgutil
import secrets
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import msgspec
import orjson
import pytest
from tests.unit.crypto.records import MemoryRecords

import heldtrue.crypto
from heldtrue.crypto.guarded import Guarded
from heldtrue.crypto.keyring import KeyCache, TenantKeyring
from heldtrue.crypto.platform import PlatformKey
from heldtrue.crypto.sealing import Context, DataKey, Opener, Sealer
from heldtrue.crypto.signing import SigningKey
from heldtrue.crypto.webhooks import Signer
from heldtrue.kernel.ids import CryptoKeyId, TenantId
from heldtrue.kernel.secret import Secret

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
CANARY = b"canary-" + secrets.token_bytes(25)
ID = CryptoKeyId.new(NOW, secrets.token_bytes)
PLACE = Context("prod", ID.value, "t", "c", "r", "p")


def _cache() -> KeyCache:
    cache = KeyCache()
    cache.put(ID.value, "p", DataKey(ID, Secret(CANARY)), NOW)
    return cache


def _keyring() -> TenantKeyring:
    platform = PlatformKey(ID, Secret(CANARY))
    keys = TenantKeyring(platform, MemoryRecords(), KeyCache(), TenantId(ID.value), "prod", lambda n: CANARY[:n], NOW)
    keys.seal("p", "t", "c", "r", b"")
    return keys


def _signer() -> Signer:
    text = base64.b64encode(CANARY).decode()
    return Signer(Secret(f"whsec_{text}"), Secret(f"whsk_{text}"))


SAMPLES: dict[type, Callable[[], object]] = {
    Secret: lambda: Secret(CANARY),
    DataKey: lambda: DataKey(ID, Secret(CANARY)),
    SigningKey: lambda: SigningKey(ID, Secret(CANARY)),
    PlatformKey: lambda: PlatformKey(ID, Secret(CANARY)),
    Sealer: lambda: Sealer(DataKey(ID, Secret(CANARY)), PLACE),
    Opener: lambda: Opener(DataKey(ID, Secret(CANARY)), PLACE),
    Signer: _signer,
    KeyCache: _cache,
    TenantKeyring: _keyring,
}


def classes_of_the_tier() -> Iterator[type]:
    """Yield each class that the crypto tier defines."""
    for found in pkgutil.iter_modules(heldtrue.crypto.__path__, "heldtrue.crypto."):
        module = importlib.import_module(found.name)
        for _, cls in inspect.getmembers(module, inspect.isclass):
            if cls.__module__ == found.name:
                yield cls


def holds_key_material(cls: type) -> bool:
    """Tell whether *cls* says so itself, or keeps a secret or another holder in a field or a parameter."""
    if issubclass(cls, Guarded):
        return cls is not Guarded
    words = [str(kind) for kind in getattr(cls, "__annotations__", {}).values()]
    words += [str(kind) for kind in getattr(cls.__init__, "__annotations__", {}).values()]
    return any(name in word for word in words for name in ("Secret", *(holder.__name__ for holder in SAMPLES)))


def test_every_holder_of_key_material_is_guarded_and_has_a_sample() -> None:
    holders = {cls for cls in classes_of_the_tier() if holds_key_material(cls)}
    assert holders
    assert all(issubclass(cls, Guarded) for cls in holders)
    assert holders == set(SAMPLES) - {Secret}


def shown(value: object) -> str:
    """Everything that logs, tracebacks and consoles would print of *value*."""
    return "".join([repr(value), str(value), f"{value}", f"{value!r:>80}", repr([value]), repr({"a": value})])


@pytest.mark.parametrize("cls", SAMPLES, ids=lambda cls: cls.__name__)
def test_it_does_not_print(cls: type) -> None:
    text = shown(SAMPLES[cls]())
    for form in (CANARY.decode("latin-1"), repr(CANARY)[2:-1], CANARY.hex(), base64.b64encode(CANARY).decode()):
        assert form not in text
    assert "canary" not in text


@pytest.mark.parametrize("cls", SAMPLES, ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_it_is_not_pickled(cls: type, protocol: int) -> None:
    with pytest.raises(TypeError):
        pickle.dumps(SAMPLES[cls](), protocol)


@pytest.mark.parametrize("cls", SAMPLES, ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("write", [copy.copy, copy.deepcopy, orjson.dumps, msgspec.json.encode, msgspec.to_builtins])
def test_it_is_not_copied_or_serialised(cls: type, write: Callable[[object], object]) -> None:
    with pytest.raises(TypeError):
        write(SAMPLES[cls]())


@pytest.mark.parametrize("cls", SAMPLES, ids=lambda cls: cls.__name__)
def test_it_has_no_dictionary_to_dump(cls: type) -> None:
    with pytest.raises(TypeError):
        vars(SAMPLES[cls]())


def test_the_search_finds_a_careless_class() -> None:
    class Careless:
        def __init__(self, material: bytes) -> None:
            self.material = material

        def __repr__(self) -> str:
            return f"Careless({self.material!r})"

    assert "canary" in shown(Careless(CANARY))
    assert b"canary" in pickle.dumps([CANARY])
