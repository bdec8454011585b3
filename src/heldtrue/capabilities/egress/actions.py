"""What can be done with credentials and rules: keep, look at, replace, destroy; say what a transform may call."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from heldtrue.capabilities.egress import store
from heldtrue.capabilities.egress.grants import referenced
from heldtrue.capabilities.egress.model import (
    MAX_CREDENTIALS,
    PURPOSE,
    CreateCredential,
    CredentialConfig,
    CredentialDeleted,
    CredentialExistsError,
    CredentialView,
    EgressRuleError,
    EgressView,
    ListCredentials,
    NoSuchCredentialError,
    ReplaceCredential,
    Rule,
    Rules,
    TheCredential,
    check_hosts,
    check_rules,
    check_value,
)
from heldtrue.crypto.keyring import KeyDestroyedError
from heldtrue.crypto.sealing import key_id_of
from heldtrue.http.exchange import Answer
from heldtrue.http.pagination import Listing, listing
from heldtrue.kernel.errors import ConflictError
from heldtrue.kernel.ids import CredentialId, TransformId
from heldtrue.kernel.secret import Secret
from heldtrue.op import Operation


def create_credential(op: Operation, asked: CreateCredential) -> CredentialView:
    """Keep a credential, sealed under a key of its own."""
    check_value(asked.value)
    check_hosts(asked.hosts)
    store.hold_names(op.tx, op.tenant.value, op.environment)
    known = _all(op)
    if asked.name in known:
        raise CredentialExistsError
    if len(known) >= MAX_CREDENTIALS:
        raise ConflictError(f"the environment has {MAX_CREDENTIALS} credentials", advice="Delete those not needed.")
    credential = CredentialId.new(op.now, op.entropy)
    config = CredentialConfig(asked.name, tuple(asked.hosts), asked.description)
    row = store.CredentialRow(
        credential_id=credential.value,
        version=1,
        config_sealed=_seal_config(op, credential, config),
        value_sealed=_seal_value(op, credential, 1, asked.value),
        created_at=op.now,
        replaced_at=None,
    )
    store.insert(op.tx, op.tenant.value, op.environment, row)
    return _view(op, row)


def list_credentials(op: Operation, asked: ListCredentials) -> Listing[CredentialView]:
    """List the environment's credentials, newest first."""
    rows = store.credentials(op.tx, asked.after(), asked.limit + 1)
    return listing(rows, asked, lambda row: _view(op, row), lambda row: row.credential_id)


def get_credential(op: Operation, asked: TheCredential) -> CredentialView:
    """Tell what is known of a credential but its value."""
    row = store.credential(op.tx, CredentialId.parse(asked.credential_id).value)
    if row is None:
        raise NoSuchCredentialError
    return _view(op, row)


def replace_credential(op: Operation, asked: ReplaceCredential) -> Answer:
    """Put another value in the place of the one before, whose key is destroyed; runs that begin later send it."""
    credential, row = _locked(op, asked.credential_id)
    config = config_of(op, row)
    if asked.hosts is not None:
        check_hosts(asked.hosts)
        config = msgspec.structs.replace(config, hosts=tuple(asked.hosts))
    if asked.description is not None:
        config = msgspec.structs.replace(config, description=asked.description)
    row = replace(row, config_sealed=_seal_config(op, credential, config))
    if asked.value is not None:
        check_value(asked.value)
        before = key_id_of(row.value_sealed)
        version = row.version + 1
        row = replace(
            row, version=version, replaced_at=op.now, value_sealed=_seal_value(op, credential, version, asked.value)
        )
        op.keys.destroy(before)
    store.replace(op.tx, row)
    return Answer(
        body=_view(op, row),
        subject=str(credential),
        detail={"version": row.version, "value": asked.value is not None, "hosts": asked.hosts is not None},
    )


def delete_credential(op: Operation, asked: TheCredential) -> CredentialDeleted:
    """Destroy a credential's key and forget it; rules that name it refuse their calls from now on."""
    credential, row = _locked(op, asked.credential_id)
    op.keys.destroy(key_id_of(row.value_sealed))
    store.delete(op.tx, credential.value)
    return CredentialDeleted(id=str(credential), state="deleted")


def egress_of(op: Operation, transform: TransformId) -> EgressView:
    """Tell what a transform, which is there, may call."""
    row = store.rules(op.tx, transform.value)
    rules = Rules() if row is None else rules_of(op, row)
    changed_at = None if row is None else row.changed_at
    return EgressView(transform_id=str(transform), rules=list(rules.rules), changed_at=changed_at)


def put_egress(op: Operation, transform: TransformId, asked: list[Rule]) -> Answer:
    """Say what a transform, which is locked, may call, in the place of what was said before."""
    check_rules(asked)
    rules = Rules(tuple(asked), _named(op, asked))
    sealed = op.keys.seal(PURPOSE, "transform_egress", "rules", str(transform.value), msgspec.json.encode(rules))
    store.put_rules(op.tx, op.tenant.value, op.environment, store.RulesRow(transform.value, sealed, op.now))
    return Answer(
        body=EgressView(transform_id=str(transform), rules=asked, changed_at=op.now),
        subject=str(transform),
        detail={"hosts": len(asked), "credentials": sorted(set(rules.credentials.values()))},
    )


def _named(op: Operation, rules: list[Rule]) -> dict[str, str]:
    """Return name → id of the credentials that *rules* name; each must be there and allow the rule's host."""
    known = _all(op)
    named: dict[str, str] = {}
    for rule in rules:
        for template in rule.headers.values():
            for name in referenced(template):
                if name not in known:
                    raise NoSuchCredentialError(f"there is no credential {name} here")
                credential, config = known[name]
                if rule.host not in config.hosts:
                    raise EgressRuleError(
                        f"the credential {name} may not be sent to {rule.host}",
                        advice="Add the host to the credential.",
                    )
                named[name] = str(credential)
    return named


def _all(op: Operation) -> dict[str, tuple[CredentialId, CredentialConfig]]:
    """Return the environment's credentials by name."""
    found = store.credentials(op.tx, None, MAX_CREDENTIALS)
    return {(config := config_of(op, row)).name: (CredentialId(row.credential_id), config) for row in found}


def rules_of(op: Operation, row: store.RulesRow) -> Rules:
    """Open a transform's rules."""
    plain = op.keys.open(PURPOSE, "transform_egress", "rules", str(row.transform_id), row.rules_sealed)
    return msgspec.json.decode(plain, type=Rules)


def config_of(op: Operation, row: store.CredentialRow) -> CredentialConfig:
    """Open what is remembered of a credential beside its value."""
    plain = op.keys.open(PURPOSE, "credentials", "config", str(row.credential_id), row.config_sealed)
    return msgspec.json.decode(plain, type=CredentialConfig)


def value_of(op: Operation, row: store.CredentialRow) -> Secret[str] | None:
    """Open a credential's value; None once its key is destroyed."""
    try:
        key = op.keys.object_key(key_id_of(row.value_sealed))
    except KeyDestroyedError:
        return None
    place = str(row.credential_id)
    plain = op.keys.open_object(key, "credentials", "value", place, row.value_sealed, row.version)
    return Secret(plain.decode("ascii"))


def _locked(op: Operation, text: str) -> tuple[CredentialId, store.CredentialRow]:
    credential = CredentialId.parse(text)
    row = store.lock(op.tx, credential.value)
    if row is None:
        raise NoSuchCredentialError
    return credential, row


def _seal_config(op: Operation, credential: CredentialId, config: CredentialConfig) -> bytes:
    return op.keys.seal(PURPOSE, "credentials", "config", str(credential.value), msgspec.json.encode(config))


def _seal_value(op: Operation, credential: CredentialId, version: int, value: str) -> bytes:
    key = op.keys.new_object_key()
    return op.keys.seal_object(key, "credentials", "value", str(credential.value), value.encode("ascii"), version)


def _view(op: Operation, row: store.CredentialRow) -> CredentialView:
    config = config_of(op, row)
    return CredentialView(
        id=str(CredentialId(row.credential_id)),
        name=config.name,
        hosts=list(config.hosts),
        description=config.description,
        version=row.version,
        created_at=row.created_at,
        replaced_at=row.replaced_at,
    )
