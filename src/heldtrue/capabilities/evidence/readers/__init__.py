"""A reader for each kind, from parsed JSON to a reading; unknown members are passed over, wrong ones refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from heldtrue.capabilities.evidence.model import Kind, Reading
from heldtrue.capabilities.evidence.readers import attestations, cloud, cyclonedx, sarif

READERS: Mapping[Kind, Callable[[Any], Reading]] = MappingProxyType(
    {
        Kind.SARIF: sarif.read,
        Kind.SBOM: cyclonedx.read_sbom,
        Kind.VEX: cyclonedx.read_vex,
        Kind.TESTS: attestations.read_tests,
        Kind.REVIEW: attestations.read_review,
        Kind.LETTER: attestations.read_letter,
        Kind.ASFF: cloud.read_asff,
        Kind.SCC: cloud.read_scc,
        Kind.DEFENDER: cloud.read_defender,
    }
)
"""By kind; each takes the parsed predicate."""
