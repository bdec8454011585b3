"""Technical and organisational measures (Article 32 GDPR): each bound to claims, whose state is shown. Pure data."""

from __future__ import annotations

MEASURES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("Encryption in transit", "TLS 1.3 by default and nothing below 1.2, incoming and outgoing.",
     ("transport.tls", "transport.outgoing")),
    ("Encryption at rest", "AES-256 before data reaches the database; files, dumps and logs hold ciphertext.",
     ("rest.sealed",)),
    ("Keys", "Random keys for each organisation and purpose, wrapped by a platform key kept apart.",
     ("keys.tenant", "secrets.platform_key")),
    ("Separation of customers", "By the application and beneath it by the database.", ("access.isolation",)),
    ("Separation of environments", "Keys and credentials of one open nothing of another.", ("keys.environment",)),
    ("Access to the service", "Every request is authenticated, every key limited by role and rate.",
     ("access.authenticated", "access.roles", "access.limits")),
    ("Access to production", "Single sign-on, hardware key, a second person's approval, limited time, on record.",
     ("access.production",)),
    ("Withdrawal of access", "A revoked credential is refused everywhere within a second.", ("access.revoked",)),
    ("Integrity", "Receipts and webhooks are signed; a change is noticed.", ("receipts.signed", "webhooks.signed")),
    ("Records", "Each call leaves an entry in an append-only log whose roots are signed.",
     ("audit.complete", "audit.append_only", "audit.consistent")),
    ("Network", "The database answers on no network; deliveries cannot be aimed inwards.",
     ("network.database", "network.inward")),
    ("Availability and resilience", "Encrypted snapshots in another region.", ("continuity.snapshots",)),
    ("Restoring in time", "A full restore is drilled each quarter.", ("continuity.drills",)),
    ("Erasure", "Each object has a key of its own, whose destruction erases it from copies too.",
     ("erasure.payload", "erasure.backups")),
    ("Regular testing", "Vulnerabilities are matched daily, penetration tests run each quarter.",
     ("company.advisories", "company.penetration_test")),
    ("Development", "Two people review each change; critical findings block it.", ("company.change_review",)),
    ("Incidents", "Clocks for acknowledgement, updates and notices.", ("company.incidents",)),
    ("People", "Screened, trained, bound to confidentiality.", ("company.people",)),
    ("Sub-processors", "Listed, announced 30 days before, bound to the same duties.", ("company.sub_processors",)),
    ("Certification and assurance", "Status told as it is, with auditor and date.", ("company.certification",)),
)  # fmt: skip
"""Topic, what is done, and the claims that show it."""
