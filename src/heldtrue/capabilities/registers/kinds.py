"""The registers of this capability, as data."""

from __future__ import annotations

from typing import Any

from heldtrue.capabilities.registers import assurance, certifications, policies, subprocessors, threats
from heldtrue.capabilities.registers.assurance import Finding, Test, Vendor
from heldtrue.capabilities.registers.certifications import Certification
from heldtrue.capabilities.registers.model import Kind
from heldtrue.capabilities.registers.plain import Contact, Location, Retention
from heldtrue.capabilities.registers.policies import Policy
from heldtrue.capabilities.registers.subprocessors import SubProcessor
from heldtrue.capabilities.registers.threats import Threat

SUB_PROCESSORS = Kind(
    name="sub-processors", title="Sub-processors", type=SubProcessor, public=True, guard=subprocessors.judge
)
CERTIFICATIONS = Kind(
    name="certifications", title="Certifications and reports", type=Certification, public=True,
    guard=certifications.judge,
)  # fmt: skip
POLICIES = Kind(name="policies", title="Policies", type=Policy, public=True, guard=policies.judge)
TESTS = Kind(
    name="tests", title="Penetration tests, audits and reviews", type=Test, public=True, guard=assurance.judge_test
)
FINDINGS = Kind(
    name="findings", title="Findings of tests and audits", type=Finding, public=False, guard=assurance.judge_finding
)
VENDORS = Kind(
    name="vendors", title="Vendors and what they have shown", type=Vendor, public=True, guard=assurance.judge_vendor
)
THREATS = Kind(name="threats", title="Threat models", type=Threat, public=True, guard=threats.judge)
RETENTION = Kind(name="retention", title="Retention schedule", type=Retention, public=True)
CONTACTS = Kind(name="contacts", title="Contacts", type=Contact, public=True)
LOCATIONS = Kind(name="locations", title="Own locations", type=Location, public=True)

KINDS: tuple[Kind[Any], ...] = (
    SUB_PROCESSORS,
    CERTIFICATIONS,
    POLICIES,
    TESTS,
    FINDINGS,
    VENDORS,
    THREATS,
    RETENTION,
    CONTACTS,
    LOCATIONS,
)
