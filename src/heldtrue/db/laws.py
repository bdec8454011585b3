"""What must hold of every table, as questions to the catalogue; and the exemptions, each with its reason.

The lists may only shrink. A question returns the offenders, one line each; an empty answer means that the law holds.
They run as tests, as an attack of the isolation claim, and in `heldtrue doctor`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import LiteralString

SCHEMAS = ("heldtrue", "keystore", "heldtrue_meta")

EXEMPT_UNIQUES: Mapping[str, str] = MappingProxyType(
    {
        "heldtrue.api_keys_digest": "a credential is judged before its organisation is known; 32 random bytes cannot "
        "be chosen to probe for another's",
        "heldtrue.receipts_link": "a link is judged before its organisation is known; it is keyed, not chosen",
        "heldtrue.organisations_one_operator": "one operator an instance; only the system role inserts organisations",
    }
)
"""Unique indexes of tenant tables that do not begin with tenant_id."""

EXEMPT_TABLES: Mapping[str, str] = MappingProxyType(
    {
        "heldtrue.log_origins": "names of the public log",
        "heldtrue.log_pending": "commitments without a tenant, on their way into the public log",
        "heldtrue.log_entries": "commitments without a tenant, published",
        "heldtrue.log_checkpoints": "published",
        "heldtrue.log_cosignatures": "published",
        "heldtrue.log_witnesses": "where the log's witnesses stand, published",
        "heldtrue.attack_runs": "the operator's own evidence, published",
        "heldtrue.attack_results": "the operator's own evidence, published",
        "heldtrue.claim_schedules": "the operator's own promises, published",
        "heldtrue.attestations": "the operator's own documents by their digest, published",
        "heldtrue.annotations": "the operator's own words, published",
        "heldtrue.claim_summaries": "derived from what is published",
        "heldtrue.probes": "the operator's own evidence, published",
        "heldtrue.post_mails": "mail of the operator's own, sealed under the operator's key",
        "heldtrue.register_entries": "the operator's own registers, published",
        "heldtrue.register_sealed": "the operator's own registers, sealed; the log has commitments",
        "heldtrue.agreement_files": "the operator's own contracts, sealed under the operator's own keys",
        "heldtrue.questionnaires": "questionnaires put to the operator, sealed under the operator's own keys",
        "heldtrue.subscribers": "readers who want to be told, of no organisation; their addresses are sealed",
        "heldtrue.house_calls": "hosts that the instance itself called",
        "heldtrue.reports": "sent to the operator, sealed; no organisation's data",
        "heldtrue.report_messages": "as reports",
        "heldtrue.disclosure_keys": "the operator's own keys; public halves are published, secret ones sealed",
        "heldtrue.pipeline_keys": "public keys of the operator's own pipelines",
        "heldtrue.evidence": "the operator's own evidence, sealed; the log has digest and summary",
        "heldtrue.tracked_findings": "the operator's own findings, sealed",
        "heldtrue.room_files": "the operator's own documents, sealed under keys of the operator's",
        "heldtrue.room_requests": "what strangers ask the operator; who they are is sealed",
        "heldtrue.room_grants": "leave that the operator gave; who reads is sealed",
        "heldtrue.room_acceptances": "agreements with the operator, sealed; the log has commitments",
        "heldtrue.room_downloads": "copies of the operator's documents, by number",
        "heldtrue.rate_buckets": "levels of limits under keyed names; nothing tells whose they are",
        "keystore.upstream_keys": "the operator's own keys, wrapped",
        "keystore.signing_keys": "the operator's own keys, wrapped; public halves are published",
        "heldtrue_meta.migrations": "the schema's own history; no application role may read it",
    }
)
"""Tables without tenant_id, and so without row-level security."""

ORGANISATION_WIDE: Mapping[str, str] = MappingProxyType(
    {
        "heldtrue.organisations": "the organisation itself",
        "heldtrue.environments": "the list of an organisation's environments",
        "keystore.tenant_keys": "a tenant key serves all environments; the sealing context names the environment",
        "keystore.object_keys": "as tenant keys",
    }
)
"""Tenant tables whose policies name the tenant alone."""

EXEMPT_CONTENT: Mapping[str, str] = MappingProxyType(
    {
        "heldtrue.idempotency.answer": "the operator's requests run as the system role; its policy shows their answers "
        "and those that are over, which it sweeps",
        "heldtrue.room_files.body_sealed": "the operator's own documents",
        "heldtrue.room_requests.asker_sealed": "the operator answers them",
        "heldtrue.room_requests.decision_sealed": "the operator's own words",
        "heldtrue.room_grants.reader_sealed": "the operator's own readers",
        "heldtrue.room_grants.reason_sealed": "the operator's own words",
        "heldtrue.room_acceptances.accepted_sealed": "agreements with the operator",
        "heldtrue.post_mails.draft_sealed": "the operator's own mail; the worker that sends it is of the system",
        "heldtrue.post_mails.wire_sealed": "as its draft",
        "heldtrue.post_mails.reply_sealed": "as its draft",
        "heldtrue.register_sealed.document_sealed": "the operator's own documents, under the operator's own keys",
        "heldtrue.agreement_files.content_sealed": "the operator's own contracts, under the operator's own keys",
        "heldtrue.questionnaires.file_sealed": "put to the operator, under the operator's own keys",
        "heldtrue.questionnaires.work_sealed": "the operator's own answers, under the operator's own keys",
        "heldtrue.subscribers.address_sealed": "the operator writes to them, under the operator's own keys",
        "heldtrue.objections.reason_sealed": "an objection is written to the operator",
        "heldtrue.objections.response_sealed": "the operator's own words",
        "heldtrue.reports.reporter_sealed": "sent to the operator, under the operator's own keys",
        "heldtrue.report_messages.text_sealed": "sent to the operator, under the operator's own keys",
        "heldtrue.disclosure_keys.secret_sealed": "the operator's own, under the operator's own keys",
        "heldtrue.evidence.document_sealed": "the operator's own, under the operator's own keys",
        "heldtrue.tracked_findings.detail_sealed": "the operator's own, under the operator's own keys",
        "heldtrue.tracked_findings.reason_sealed": "the operator's own, under the operator's own keys",
    }
)
"""Sealed columns that the system role may read."""

APPEND_ONLY: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "heldtrue.log_origins": frozenset({"SELECT", "INSERT"}),
        "heldtrue.log_entries": frozenset({"SELECT", "INSERT"}),
        "heldtrue.log_checkpoints": frozenset({"SELECT", "INSERT"}),
        "heldtrue.log_cosignatures": frozenset({"SELECT", "INSERT"}),
        "heldtrue.attack_runs": frozenset({"SELECT", "INSERT"}),
        "heldtrue.attack_results": frozenset({"SELECT", "INSERT"}),
        "heldtrue.claim_schedules": frozenset({"SELECT", "INSERT"}),
        "heldtrue.attestations": frozenset({"SELECT", "INSERT"}),
        "heldtrue.annotations": frozenset({"SELECT", "INSERT"}),
        "heldtrue.probes": frozenset({"SELECT", "INSERT"}),
        "heldtrue.register_entries": frozenset({"SELECT", "INSERT"}),
        "heldtrue.register_sealed": frozenset({"SELECT", "INSERT"}),
        "heldtrue.agreement_files": frozenset({"SELECT", "INSERT"}),
        "heldtrue.acceptances": frozenset({"SELECT", "INSERT"}),
        "heldtrue.evidence": frozenset({"SELECT", "INSERT"}),
        "heldtrue.room_acceptances": frozenset({"SELECT", "INSERT"}),
        "heldtrue.room_downloads": frozenset({"SELECT", "INSERT"}),
        "heldtrue.log_pending": frozenset({"SELECT", "INSERT", "DELETE"}),
    }
)
"""The most that any application role holds on a table of the log; a deletion from log_pending is judged by its row."""


@dataclass(frozen=True, slots=True)
class Law:
    """A promise about the whole database and the question that finds what breaks it."""

    name: str
    promise: str
    question: LiteralString
    exempt: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


LAWS: tuple[Law, ...] = (
    Law(
        "tenant-or-exempt",
        "Every table belongs to a tenant, or is listed with the reason why it does not.",
        """SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
           WHERE n.nspname = ANY(%(schemas)s) AND c.relkind IN ('r', 'p')
           AND NOT EXISTS (SELECT FROM pg_attribute a
                           WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND a.attnotnull)""",
        EXEMPT_TABLES,
    ),
    Law(
        "row-level-security",
        "Every tenant table enables and forces row-level security.",
        """SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
           WHERE n.nspname = ANY(%(schemas)s) AND c.relkind IN ('r', 'p')
           AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id')
           AND NOT (c.relrowsecurity AND c.relforcerowsecurity)""",
    ),
    Law(
        "policies-name-the-tenant",
        "Every policy that reaches the tenant role compares tenant_id, in USING and in WITH CHECK.",
        """SELECT schemaname || '.' || tablename || ': ' || policyname FROM pg_policies
           WHERE schemaname = ANY(%(schemas)s) AND roles && ARRAY['heldtrue_tenant', 'public']::name[]
           AND ((cmd <> 'INSERT' AND coalesce(qual, '') !~ '^\\(+tenant_id = heldtrue\\.tenant\\(\\)\\)')
             OR (cmd IN ('ALL', 'INSERT', 'UPDATE')
                 AND coalesce(with_check, '') !~ '^\\(+tenant_id = heldtrue\\.tenant\\(\\)\\)')
             OR coalesce(qual, '') || coalesce(with_check, '') ~ '\\mOR\\M')""",
    ),
    Law(
        "policies-name-the-environment",
        "Every policy that reaches the tenant role compares environment as well.",
        """SELECT schemaname || '.' || tablename FROM pg_policies
           WHERE schemaname = ANY(%(schemas)s) AND roles && ARRAY['heldtrue_tenant', 'public']::name[]
           AND ((cmd <> 'INSERT' AND coalesce(qual, '') !~ 'environment = heldtrue\\.environment\\(\\)')
             OR (cmd IN ('ALL', 'INSERT', 'UPDATE')
                 AND coalesce(with_check, '') !~ 'environment = heldtrue\\.environment\\(\\)'))""",
        ORGANISATION_WIDE,
    ),
    Law(
        "tenant-tables-have-a-tenant-policy",
        "Every tenant table has a policy for the tenant role.",
        """SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
           WHERE n.nspname = ANY(%(schemas)s) AND c.relkind IN ('r', 'p')
           AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id')
           AND NOT EXISTS (SELECT FROM pg_policies p WHERE p.schemaname = n.nspname AND p.tablename = c.relname
                           AND 'heldtrue_tenant' = ANY(p.roles))""",
    ),
    Law(
        "uniques-begin-with-the-tenant",
        "Every unique index of a tenant table begins with tenant_id, else it tells that another's row exists.",
        """SELECT n.nspname || '.' || i.relname FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
           JOIN pg_class c ON c.oid = x.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
           WHERE n.nspname = ANY(%(schemas)s) AND x.indisunique
           AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id')
           AND NOT EXISTS (SELECT FROM pg_attribute a
                           WHERE a.attrelid = c.oid AND a.attnum = x.indkey[0] AND a.attname = 'tenant_id')""",
        EXEMPT_UNIQUES,
    ),
    Law(
        "foreign-keys-begin-with-the-tenant",
        "Every foreign key from or to a tenant table begins with tenant_id, else another's row is accepted.",
        """SELECT n.nspname || '.' || c.relname || ': ' || k.conname FROM pg_constraint k
           JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
           WHERE n.nspname = ANY(%(schemas)s) AND k.contype = 'f'
           AND EXISTS (SELECT FROM pg_attribute a
                       WHERE a.attrelid IN (k.conrelid, k.confrelid) AND a.attname = 'tenant_id')
           AND NOT (EXISTS (SELECT FROM pg_attribute a
                            WHERE a.attrelid = k.conrelid AND a.attnum = k.conkey[1] AND a.attname = 'tenant_id')
                AND EXISTS (SELECT FROM pg_attribute a
                            WHERE a.attrelid = k.confrelid AND a.attnum = k.confkey[1] AND a.attname = 'tenant_id'))""",
    ),
    Law(
        "views-ask-as-the-caller",
        "Every view is security_invoker, and there is no materialised view: it would hold rows of all tenants.",
        """SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
           WHERE n.nspname = ANY(%(schemas)s) AND (c.relkind = 'm' OR (c.relkind = 'v'
             AND NOT coalesce(c.reloptions, '{}')
                 && ARRAY['security_invoker=true', 'security_invoker=on', 'security_invoker=1']))""",
    ),
    Law(
        "functions-run-as-the-caller",
        "No function is SECURITY DEFINER.",
        """SELECT n.nspname || '.' || p.proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
           WHERE n.nspname = ANY(%(schemas)s) AND p.prosecdef""",
    ),
    Law(
        "roles-are-weak",
        "No role of ours is superuser, passes by row-level security, makes roles, replicates, or belongs to another.",
        """SELECT r.rolname FROM pg_roles r WHERE r.rolname LIKE 'heldtrue\\_%%' AND r.rolname <> 'heldtrue_superuser'
           AND (r.rolsuper OR r.rolbypassrls OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication
             OR EXISTS (SELECT FROM pg_auth_members m WHERE m.member = r.oid))""",
    ),
    Law(
        "nobody-is-the-owner",
        "Everything is owned by heldtrue_owner, which cannot log in.",
        """SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
           WHERE n.nspname = ANY(%(schemas)s) AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
           AND c.relowner <> (SELECT oid FROM pg_roles WHERE rolname = 'heldtrue_owner')
           UNION ALL SELECT rolname FROM pg_roles WHERE rolname = 'heldtrue_owner' AND rolcanlogin""",
    ),
    Law(
        "nothing-is-public",
        "No table is granted to PUBLIC, and nobody but us may connect or create.",
        """SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace,
           aclexplode(c.relacl) g WHERE n.nspname = ANY(%(schemas)s) AND g.grantee = 0
           UNION ALL SELECT 'schema ' || n.nspname FROM pg_namespace n, aclexplode(n.nspacl) g
           WHERE g.grantee = 0 AND n.nspname = ANY(%(schemas)s || 'public'::text)
           UNION ALL SELECT 'database ' || d.datname FROM pg_database d, aclexplode(d.datacl) g
           WHERE g.grantee = 0 AND d.datname = current_database()
           UNION ALL SELECT 'schema ' || n.nspname FROM pg_namespace n, pg_roles r
           WHERE r.rolname IN ('heldtrue_tenant', 'heldtrue_edge', 'heldtrue_system')
           AND has_schema_privilege(r.oid, n.oid, 'CREATE') AND n.nspname !~ '^pg_(toast_)?temp'""",
    ),
    Law(
        "the-edge-sees-key-columns",
        "The edge role sees nothing sealed and changes nothing.",
        """SELECT n.nspname || '.' || c.relname || '.' || a.attname FROM pg_attribute a
           JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
           WHERE n.nspname = ANY(%(schemas)s) AND c.relkind IN ('r', 'p', 'v') AND a.attnum > 0 AND NOT a.attisdropped
           AND (has_column_privilege('heldtrue_edge', c.oid, a.attnum, 'INSERT, UPDATE, REFERENCES')
             OR (a.attname ~ 'sealed|wrapped|answer|entry'
                 AND has_column_privilege('heldtrue_edge', c.oid, a.attnum, 'SELECT')))
           UNION ALL SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
           WHERE n.nspname = ANY(%(schemas)s) AND c.relkind IN ('r', 'p', 'v')
           AND has_table_privilege('heldtrue_edge', c.oid, 'DELETE, TRUNCATE, TRIGGER')""",
    ),
    Law(
        "the-system-sees-no-content",
        "The system role cannot read a payload's, receipt's, endpoint's or ledger document's content.",
        """SELECT n.nspname || '.' || c.relname || '.' || a.attname FROM pg_attribute a
           JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
           WHERE n.nspname = 'heldtrue' AND c.relkind IN ('r', 'p', 'v') AND a.attnum > 0 AND NOT a.attisdropped
           AND c.relname <> 'organisations' AND a.attname ~ 'sealed|answer'
           AND has_column_privilege('heldtrue_system', c.oid, a.attnum, 'SELECT')""",
        EXEMPT_CONTENT,
    ),
    Law(
        "the-log-only-grows",
        "No application role may UPDATE, DELETE or TRUNCATE the log's tables or switch their triggers off.",
        """SELECT r.rolname || ' ' || p.privilege || ' ' || t.name
           FROM unnest(%(append_only)s::text[]) t(name), pg_roles r,
           unnest(ARRAY['UPDATE', 'DELETE', 'TRUNCATE', 'TRIGGER', 'REFERENCES']) p(privilege)
           WHERE r.rolname IN ('heldtrue_tenant', 'heldtrue_edge', 'heldtrue_system')
           AND (has_table_privilege(r.oid, t.name::regclass, p.privilege)
             OR (p.privilege = 'UPDATE' AND has_any_column_privilege(r.oid, t.name::regclass, 'UPDATE')))
           AND NOT (t.name = 'heldtrue.log_pending' AND p.privilege = 'DELETE' AND r.rolname = 'heldtrue_system')""",
    ),
    Law(
        "the-log-refuses-even-the-owner",
        "Each table of the log has its refusing triggers, enabled.",
        """SELECT t.name || ': ' || wanted FROM unnest(%(append_only)s::text[]) t(name),
           unnest(ARRAY['append_only', 'no_truncate']) wanted
           WHERE NOT EXISTS (SELECT FROM pg_trigger g WHERE g.tgrelid = t.name::regclass AND g.tgname = wanted
                             AND g.tgenabled IN ('O', 'A'))
           UNION ALL SELECT 'heldtrue.log_pending: pending_delete'
           WHERE NOT EXISTS (SELECT FROM pg_trigger g WHERE g.tgrelid = 'heldtrue.log_pending'::regclass
                             AND g.tgname = 'pending_delete' AND g.tgenabled IN ('O', 'A'))""",
    ),
)
"""Every law of the database."""

PARAMETERS: Mapping[str, object] = MappingProxyType({"schemas": list(SCHEMAS), "append_only": sorted(APPEND_ONLY)})
"""What every question may name."""


def offenders(law: Law, answers: list[str]) -> list[str]:
    """Return which of *answers* are not exempt from *law*."""
    return sorted(set(answers) - set(law.exempt))
