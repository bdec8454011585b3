"""The published matrix of roles and permissions: a change of it is a change of this file."""

from __future__ import annotations

import pytest

from heldtrue.policy.decide import EscalationError, MissingPermissionError, decide, may_give
from heldtrue.policy.permissions import GRANTS, Permission, Role, allowed

MATRIX = """
address.read          admin reader
address.write         admin
audit.read            admin
claim.annotate        operator
claim.attest          operator
claim.run             operator
credential.read       admin
credential.write      admin
delivery.read         admin reader
delivery.replay       admin
document.manage       operator
egress.write          admin
endpoint.read         admin reader
endpoint.write        admin
environment.create    operator
evidence.manage       operator
evidence.push         operator
evidence.read         operator
flow.read             admin reader
flow.run              admin
flow.write            admin
key.issue             admin
key.issue.any         operator
key.read              admin
key.revoke            admin
organisation.create   operator
organisation.read     operator
payload.erase         admin
payload.read          admin reader
payload.send          admin publishable sender
post.manage           operator
probe.record          operator
receipt.read          admin reader
register.read         operator
register.write        operator
report.read           operator
report.write          operator
request.manage        operator
self.read             admin operator reader sender
session.key.roll      operator
session.mint          admin
session.revoke        admin
terms.accept          admin
terms.read            admin reader
transform.read        admin reader
transform.write       admin
upstream.key.manage   operator
vendor.choose         admin
vendor.read           admin reader
"""


def test_the_matrix_is_the_published_one() -> None:
    lines = (
        f"{permission.value:<21} {' '.join(sorted(role.value for role in Role if permission in GRANTS[role]))}"
        for permission in sorted(Permission)
    )
    assert "\n".join(lines) == MATRIX.strip()


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("permission", list(Permission))
def test_the_decision_is_the_matrix(role: Role, permission: Permission) -> None:
    if permission in GRANTS[role]:
        decide(allowed(role, None), permission)
    else:
        with pytest.raises(MissingPermissionError, match=permission.value):
            decide(allowed(role, None), permission)


def test_nobody_gives_what_they_do_not_have() -> None:
    may_give(GRANTS[Role.ADMIN], GRANTS[Role.READER])
    with pytest.raises(EscalationError, match="payload"):
        may_give(GRANTS[Role.READER], GRANTS[Role.SENDER])
