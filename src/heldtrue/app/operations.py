"""Operations of the system outside the pipeline: for what strangers ask of the public pages, and for jobs."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from uuid import UUID

from heldtrue.app.services import Services
from heldtrue.capabilities.ledger.actions import append_audit
from heldtrue.capabilities.tenants.actions import operator_in
from heldtrue.capabilities.tenants.model import OPERATOR_ENVIRONMENT
from heldtrue.crypto.keyring import TenantKeyring
from heldtrue.db.keystore import TxKeyRecords
from heldtrue.kernel.ids import LeafId, RequestId, TenantId
from heldtrue.op import Actor, AuditEvent, SystemOperation

Operations = Callable[[], AbstractContextManager[SystemOperation]]
"""Open an operation; commit when the block ends, roll back when it raises."""


def operations(parts: Services, kind: str) -> Operations:
    """Return what opens operations in the operator's name; *kind*: of the actor, as `public` or `system`."""

    @contextmanager
    def opened() -> Generator[SystemOperation]:
        home = parts.ground.home
        with parts.database.system() as tx:
            now = home.clock.now()
            operator = operator_in(tx) or TenantId(UUID(int=0))
            actor = Actor(kind=kind, tenant=operator, environment=OPERATOR_ENVIRONMENT)
            request = RequestId.new(now, parts.entropy)

            def keys_of(tenant: TenantId, environment: str) -> TenantKeyring:
                return TenantKeyring(
                    home.platform, TxKeyRecords(tx), parts.cache, tenant, environment, parts.entropy, now
                )

            def record(tenant: TenantId, environment: str, event: AuditEvent) -> LeafId:
                keys = keys_of(tenant, environment)
                return append_audit(tx, keys, tenant, environment, actor, request, now, parts.entropy, event)

            yield SystemOperation(
                actor=actor, now=now, entropy=parts.entropy, tx=tx, keys_of=keys_of, record_for=record,
                request=request,
            )  # fmt: skip

    return opened
