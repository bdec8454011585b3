-- First light: organisations, keys, payloads, endpoints, deliveries, receipts, the log, claims.
-- Runs as the owner role inside one transaction. Roles exist already (db/roles.py makes them).
-- Laws that hold here and are checked by tests/laws over the catalogue:
--   every table with a tenant_id forces row-level security; policies name (tenant_id, environment);
--   every unique and foreign key of a tenant table begins with tenant_id, save for those listed in db/laws.py with a reason.

CREATE SCHEMA heldtrue;
CREATE SCHEMA keystore;
GRANT USAGE ON SCHEMA heldtrue TO heldtrue_tenant, heldtrue_edge, heldtrue_system;
GRANT USAGE ON SCHEMA keystore TO heldtrue_tenant, heldtrue_system;

-- SET LOCAL leaves an empty string behind when it ends; a bare cast of it would fail.
CREATE FUNCTION heldtrue.tenant() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
  AS $$ SELECT NULLIF(current_setting('heldtrue.tenant', true), '')::uuid $$;
CREATE FUNCTION heldtrue.environment() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
  AS $$ SELECT NULLIF(current_setting('heldtrue.environment', true), '') $$;

CREATE FUNCTION heldtrue.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'table %.% is append-only: % is refused', TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_OP
    USING ERRCODE = 'insufficient_privilege';
END $$;

-- ---------------------------------------------------------------- organisations
CREATE TABLE heldtrue.organisations (
  tenant_id    uuid PRIMARY KEY,
  kind         text NOT NULL CHECK (kind IN ('operator', 'customer', 'synthetic')),
  state        text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'closed')),
  name_sealed  bytea NOT NULL,
  created_at   timestamptz NOT NULL
);
CREATE UNIQUE INDEX organisations_one_operator ON heldtrue.organisations (kind) WHERE kind = 'operator';

CREATE TABLE heldtrue.environments (
  tenant_id   uuid NOT NULL REFERENCES heldtrue.organisations,
  environment text NOT NULL CHECK (environment ~ '^[a-z0-9]{1,16}$'),
  created_at  timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, environment)
);

-- ---------------------------------------------------------------- keystore (kept out of the main backup chain)
-- state: NIST SP 800-57 part 1, section 7.
CREATE TABLE keystore.tenant_keys (
  tenant_id  uuid NOT NULL,
  key_id     uuid NOT NULL,
  purpose    text NOT NULL,
  state      text NOT NULL CHECK (state IN ('pre-activation', 'active', 'suspended', 'deactivated', 'compromised', 'destroyed')),
  wrapped    bytea,                       -- AES-KWP under the platform key; NULL once destroyed
  created_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, key_id),
  CHECK ((state = 'destroyed') = (wrapped IS NULL))
);
CREATE UNIQUE INDEX tenant_keys_one_active ON keystore.tenant_keys (tenant_id, purpose) WHERE state = 'active';

CREATE TABLE keystore.object_keys (
  tenant_id     uuid NOT NULL,
  key_id        uuid NOT NULL,
  tenant_key_id uuid NOT NULL,
  state         text NOT NULL CHECK (state IN ('active', 'destroyed')),
  wrapped       bytea,                    -- AES-KWP under the tenant key; NULL once destroyed
  created_at    timestamptz NOT NULL,
  destroyed_at  timestamptz,
  PRIMARY KEY (tenant_id, key_id),
  FOREIGN KEY (tenant_id, tenant_key_id) REFERENCES keystore.tenant_keys (tenant_id, key_id),
  CHECK ((state = 'destroyed') = (wrapped IS NULL))
);

CREATE TABLE keystore.signing_keys (
  key_id       uuid PRIMARY KEY,
  purpose      text NOT NULL CHECK (purpose IN ('log', 'receipt', 'evidence')),
  state        text NOT NULL CHECK (state IN ('pre-activation', 'active', 'suspended', 'deactivated', 'compromised', 'destroyed')),
  public       bytea NOT NULL CHECK (length(public) = 32),
  wrapped      bytea,                     -- AES-KWP under the platform key; NULL once destroyed
  not_before   timestamptz NOT NULL,      -- signs from
  sign_until   timestamptz,               -- signs until (NULL: until rotated)
  accept_until timestamptz,               -- inclusion in the log accepted until (NULL: for ever)
  leaf_id      uuid,                      -- the key's entry in the log
  compromised_at timestamptz,
  CHECK ((state = 'destroyed') = (wrapped IS NULL))
);
CREATE UNIQUE INDEX signing_keys_one_active ON keystore.signing_keys (purpose) WHERE state = 'active';

-- ---------------------------------------------------------------- access
CREATE TABLE heldtrue.api_keys (
  tenant_id   uuid NOT NULL,
  environment text NOT NULL,
  key_id      uuid NOT NULL,
  type        text NOT NULL CHECK (type IN ('sk', 'pk')),
  role        text NOT NULL,
  scopes      text[],                     -- NULL: the whole role
  digest      bytea NOT NULL CHECK (length(digest) = 32),
  last4       text NOT NULL CHECK (length(last4) = 4),
  name_sealed bytea NOT NULL,
  state       text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'revoked')),
  created_at  timestamptz NOT NULL,
  expires_at  timestamptz,
  revoked_at  timestamptz,
  rolled_to   uuid,
  PRIMARY KEY (tenant_id, key_id),
  FOREIGN KEY (tenant_id, environment) REFERENCES heldtrue.environments (tenant_id, environment)
);
CREATE UNIQUE INDEX api_keys_digest ON heldtrue.api_keys (digest);

CREATE TABLE heldtrue.idempotency (
  tenant_id   uuid NOT NULL,
  environment text NOT NULL,
  credential  uuid NOT NULL,
  route       text NOT NULL,
  key_digest  bytea NOT NULL,             -- SHA-256 of the Idempotency-Key
  body_digest bytea NOT NULL,
  status      int,                        -- NULL while the first request runs
  answer      bytea,                      -- sealed; never an answer that bears a secret
  created_at  timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, environment, credential, route, key_digest)
);
CREATE INDEX idempotency_age ON heldtrue.idempotency (created_at);

-- ---------------------------------------------------------------- payloads
CREATE TABLE heldtrue.payloads (
  tenant_id     uuid NOT NULL,
  environment   text NOT NULL,
  payload_id    uuid NOT NULL,
  object_key_id uuid NOT NULL,
  source        text NOT NULL CHECK (source IN ('http', 'smtp', 'schedule')),
  state         text NOT NULL CHECK (state IN ('accepted', 'forwarded', 'erased')),
  size          bigint NOT NULL,
  meta_sealed   bytea,                    -- JSON: content type, digests, TLS, request id
  body_sealed   bytea,                    -- small bodies
  body_object   text,                     -- large bodies: name in the object store
  received_at   timestamptz NOT NULL,
  forwarded_at  timestamptz,
  erased_at     timestamptz,
  PRIMARY KEY (tenant_id, payload_id),
  FOREIGN KEY (tenant_id, environment) REFERENCES heldtrue.environments (tenant_id, environment),
  FOREIGN KEY (tenant_id, object_key_id) REFERENCES keystore.object_keys (tenant_id, key_id)
);
CREATE INDEX payloads_waiting ON heldtrue.payloads (received_at) WHERE state = 'accepted';
CREATE INDEX payloads_object ON heldtrue.payloads (body_object) WHERE body_object IS NOT NULL;
CREATE INDEX payloads_list ON heldtrue.payloads (tenant_id, environment, payload_id);

CREATE TABLE heldtrue.attachments (
  tenant_id   uuid NOT NULL,
  environment text NOT NULL,
  payload_id  uuid NOT NULL,
  ordinal     int NOT NULL CHECK (ordinal >= 1),
  size        bigint NOT NULL,
  meta_sealed bytea,
  body_sealed bytea,
  body_object text,
  PRIMARY KEY (tenant_id, payload_id, ordinal),
  FOREIGN KEY (tenant_id, payload_id) REFERENCES heldtrue.payloads (tenant_id, payload_id)
);
CREATE INDEX attachments_object ON heldtrue.attachments (body_object) WHERE body_object IS NOT NULL;

-- ---------------------------------------------------------------- endpoints, receipts, deliveries
CREATE TABLE heldtrue.endpoints (
  tenant_id      uuid NOT NULL,
  environment    text NOT NULL,
  endpoint_id    uuid NOT NULL,
  state          text NOT NULL CHECK (state IN ('enabled', 'disabled', 'deleted')),
  disabled_for   text,                    -- why, in a fixed word: 'operator', 'gone' (410), 'customer'
  config_sealed  bytea NOT NULL,          -- JSON: url, description
  secrets_sealed bytea NOT NULL,          -- JSON: whsec and whsk, with overlap while rotating
  created_at     timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, endpoint_id),
  FOREIGN KEY (tenant_id, environment) REFERENCES heldtrue.environments (tenant_id, environment)
);

CREATE TABLE heldtrue.receipts (
  tenant_id     uuid NOT NULL,
  environment   text NOT NULL,
  receipt_id    uuid NOT NULL,
  payload_id    uuid NOT NULL,
  ordinal       int NOT NULL,             -- of the output; 0 where nothing transforms
  endpoint_id   uuid NOT NULL,
  signing_key_id uuid NOT NULL,
  sealed        bytea,                    -- the signed document, under the payload's object key
  digest        bytea NOT NULL,           -- SHA-256 of the signed document in canonical form
  leaf_id       uuid NOT NULL,
  link_digest   bytea NOT NULL CHECK (length(link_digest) = 32),
  created_at    timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, receipt_id),
  UNIQUE (tenant_id, payload_id, ordinal, endpoint_id),
  FOREIGN KEY (tenant_id, payload_id) REFERENCES heldtrue.payloads (tenant_id, payload_id),
  FOREIGN KEY (tenant_id, endpoint_id) REFERENCES heldtrue.endpoints (tenant_id, endpoint_id)
);
CREATE UNIQUE INDEX receipts_link ON heldtrue.receipts (link_digest);

CREATE TABLE heldtrue.deliveries (
  tenant_id    uuid NOT NULL,
  environment  text NOT NULL,
  delivery_id  uuid NOT NULL,
  receipt_id   uuid NOT NULL,
  payload_id   uuid NOT NULL,
  endpoint_id  uuid NOT NULL,
  state        text NOT NULL CHECK (state IN ('pending', 'delivered', 'failed', 'held')),
  attempts     int NOT NULL DEFAULT 0,
  tries        int NOT NULL DEFAULT 0,    -- place in the retry schedule; a replay begins anew
  due_at       timestamptz,               -- NULL when nothing is due
  lease_until  timestamptz,
  fence        bigint NOT NULL DEFAULT 0, -- grows with each claim; a late worker's answer is refused
  created_at   timestamptz NOT NULL,
  settled_at   timestamptz,
  PRIMARY KEY (tenant_id, delivery_id),
  FOREIGN KEY (tenant_id, receipt_id) REFERENCES heldtrue.receipts (tenant_id, receipt_id),
  FOREIGN KEY (tenant_id, endpoint_id) REFERENCES heldtrue.endpoints (tenant_id, endpoint_id)
);
CREATE INDEX deliveries_due ON heldtrue.deliveries (tenant_id, endpoint_id, due_at) WHERE state = 'pending';
CREATE INDEX deliveries_list ON heldtrue.deliveries (tenant_id, environment, delivery_id);
CREATE INDEX deliveries_of_payload ON heldtrue.deliveries (tenant_id, payload_id);
CREATE INDEX deliveries_of_endpoint ON heldtrue.deliveries (tenant_id, endpoint_id, delivery_id);

CREATE TABLE heldtrue.attempts (
  tenant_id      uuid NOT NULL,
  environment    text NOT NULL,
  attempt_id     uuid NOT NULL,
  delivery_id    uuid NOT NULL,
  number         int NOT NULL,
  started_at     timestamptz NOT NULL,
  latency_ms     int NOT NULL,
  status         int,                     -- NULL when no HTTP answer came
  failure        text,                    -- fixed word: 'timeout', 'tls', 'refused-address', 'connect', 'protocol', 'unknown-outcome'
  excerpt_sealed bytea,
  PRIMARY KEY (tenant_id, attempt_id),
  UNIQUE (tenant_id, delivery_id, number),
  FOREIGN KEY (tenant_id, delivery_id) REFERENCES heldtrue.deliveries (tenant_id, delivery_id)
);

-- ---------------------------------------------------------------- ledger: what an entry of a tenant commits to, erasable
CREATE TABLE heldtrue.ledger_documents (
  tenant_id     uuid NOT NULL,
  environment   text NOT NULL,
  leaf_id       uuid NOT NULL,
  kind          text NOT NULL CHECK (kind IN ('audit', 'receipt')),
  event         text NOT NULL,            -- 'key.issued', 'receipt', …: a closed word, never data
  object_key_id uuid,                     -- sealed under this object key; NULL: under the tenant's ledger key
  sealed        bytea,                    -- u8 salt length ‖ salt ‖ canonical JSON, sealed; NULL once erased
  created_at    timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, leaf_id)
);
CREATE INDEX ledger_documents_list ON heldtrue.ledger_documents (tenant_id, environment, leaf_id);

-- ---------------------------------------------------------------- the log (no tenant in it: commitments only)
CREATE TABLE heldtrue.log_origins (
  generation int PRIMARY KEY,
  origin     text NOT NULL UNIQUE,
  key_id     uuid NOT NULL,
  opened_at  timestamptz NOT NULL
);
CREATE TABLE heldtrue.log_pending (
  leaf_id    uuid PRIMARY KEY,
  entry      bytea NOT NULL CHECK (length(entry) BETWEEN 1 AND 65535),
  created_at timestamptz NOT NULL
);
CREATE TABLE heldtrue.log_entries (
  generation int NOT NULL REFERENCES heldtrue.log_origins,
  index      bigint NOT NULL CHECK (index >= 0),
  leaf_id    uuid NOT NULL,               -- twice where a succession carried an entry over that no checkpoint covered
  entry      bytea NOT NULL,
  subtrees   bytea,                       -- hashes of the full tiles that this entry completes, level 0 first
  PRIMARY KEY (generation, index),
  UNIQUE (leaf_id, generation),
  CHECK ((subtrees IS NOT NULL) = ((index + 1) % 256 = 0))
);
CREATE TABLE heldtrue.log_checkpoints (
  generation int NOT NULL REFERENCES heldtrue.log_origins,
  size       bigint NOT NULL,
  root       bytea NOT NULL CHECK (length(root) = 32),
  note       text NOT NULL,
  signed_at  timestamptz NOT NULL,
  PRIMARY KEY (generation, size)
);

-- A pending entry leaves only into the log: its deletion is refused unless the log holds it.
CREATE FUNCTION heldtrue.pending_leaves_into_the_log() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM heldtrue.log_entries e WHERE e.leaf_id = OLD.leaf_id AND e.entry = OLD.entry) THEN
    RAISE EXCEPTION 'pending entry % is not in the log yet: its deletion is refused', OLD.leaf_id
      USING ERRCODE = 'insufficient_privilege';
  END IF;
  RETURN OLD;
END $$;
CREATE TRIGGER pending_delete BEFORE DELETE ON heldtrue.log_pending
  FOR EACH ROW EXECUTE FUNCTION heldtrue.pending_leaves_into_the_log();

-- ---------------------------------------------------------------- claims: append-only, derived from and provable in the log
CREATE TABLE heldtrue.attack_runs (
  attack     text NOT NULL,
  number     bigint NOT NULL CHECK (number >= 1),
  place      text NOT NULL CHECK (place IN ('observe', 'synthetic', 'scratch')),
  against    text NOT NULL CHECK (against IN ('control', 'broken-control')),
  leaf_id    uuid NOT NULL,               -- the intent's entry
  started_at timestamptz NOT NULL,
  PRIMARY KEY (attack, number)
);
CREATE TABLE heldtrue.attack_results (
  attack      text NOT NULL,
  number      bigint NOT NULL,
  outcome     text NOT NULL CHECK (outcome IN ('held', 'broken', 'error', 'missing')),
  leaf_id     uuid NOT NULL,              -- the evidence's entry
  evidence    jsonb NOT NULL,             -- the signed evidence document, in clear as in the log
  finished_at timestamptz NOT NULL,
  PRIMARY KEY (attack, number),
  FOREIGN KEY (attack, number) REFERENCES heldtrue.attack_runs
);
CREATE INDEX attack_results_newest ON heldtrue.attack_results (attack, number DESC);
CREATE UNIQUE INDEX attack_results_leaf ON heldtrue.attack_results (leaf_id);
CREATE TABLE heldtrue.claim_schedules (   -- what was promised to be checked how often, as logged
  claim      text NOT NULL,
  leaf_id    uuid NOT NULL,
  schedule   jsonb NOT NULL,
  published_at timestamptz NOT NULL,
  PRIMARY KEY (claim, leaf_id)
);

-- ---------------------------------------------------------------- append-only tables
DO $$
DECLARE t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['log_origins', 'log_entries', 'log_checkpoints', 'attack_runs', 'attack_results', 'claim_schedules'] LOOP
    EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON heldtrue.%I FOR EACH ROW EXECUTE FUNCTION heldtrue.refuse_change()', t);
    EXECUTE format('CREATE TRIGGER no_truncate BEFORE TRUNCATE ON heldtrue.%I FOR EACH STATEMENT EXECUTE FUNCTION heldtrue.refuse_change()', t);
  END LOOP;
  EXECUTE 'CREATE TRIGGER append_only BEFORE UPDATE ON heldtrue.log_pending FOR EACH ROW EXECUTE FUNCTION heldtrue.refuse_change()';
  EXECUTE 'CREATE TRIGGER no_truncate BEFORE TRUNCATE ON heldtrue.log_pending FOR EACH STATEMENT EXECUTE FUNCTION heldtrue.refuse_change()';
END $$;

-- ---------------------------------------------------------------- row-level security
DO $$
DECLARE t text;
BEGIN
  -- tables of an organisation as a whole
  FOREACH t IN ARRAY ARRAY['heldtrue.organisations', 'heldtrue.environments', 'keystore.tenant_keys', 'keystore.object_keys'] LOOP
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', t);
    EXECUTE format('CREATE POLICY tenant ON %s TO heldtrue_tenant USING (tenant_id = heldtrue.tenant()) WITH CHECK (tenant_id = heldtrue.tenant())', t);
    EXECUTE format('CREATE POLICY system ON %s TO heldtrue_system USING (true) WITH CHECK (true)', t);
  END LOOP;
  -- tables of an organisation's environment
  FOREACH t IN ARRAY ARRAY['api_keys', 'idempotency', 'payloads', 'attachments', 'endpoints', 'receipts', 'deliveries', 'attempts', 'ledger_documents'] LOOP
    EXECUTE format('ALTER TABLE heldtrue.%I ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('ALTER TABLE heldtrue.%I FORCE ROW LEVEL SECURITY', t);
    EXECUTE format('CREATE POLICY tenant ON heldtrue.%I TO heldtrue_tenant
      USING (tenant_id = heldtrue.tenant() AND environment = heldtrue.environment())
      WITH CHECK (tenant_id = heldtrue.tenant() AND environment = heldtrue.environment())', t);
  END LOOP;
END $$;

-- The edge judges credentials before a tenant is known: key columns and link digests only.
CREATE POLICY edge ON heldtrue.api_keys FOR SELECT TO heldtrue_edge USING (true);
CREATE POLICY edge ON heldtrue.receipts FOR SELECT TO heldtrue_edge USING (true);
CREATE POLICY edge ON heldtrue.organisations FOR SELECT TO heldtrue_edge USING (true);
-- The system role finds work across tenants by queue columns only; the work itself is done in a tenant's transaction.
CREATE POLICY system ON heldtrue.api_keys TO heldtrue_system USING (true) WITH CHECK (true);
CREATE POLICY system ON heldtrue.payloads FOR SELECT TO heldtrue_system USING (true);
CREATE POLICY system_claim ON heldtrue.payloads FOR UPDATE TO heldtrue_system USING (true) WITH CHECK (true);
CREATE POLICY system ON heldtrue.deliveries FOR SELECT TO heldtrue_system USING (true);
CREATE POLICY system_claim ON heldtrue.deliveries FOR UPDATE TO heldtrue_system USING (true) WITH CHECK (true);
-- The system role reads and writes answers of the operator's own requests, and sweeps what nobody can ask for any more.
CREATE POLICY system ON heldtrue.idempotency FOR SELECT TO heldtrue_system
  USING (created_at < now() - interval '23 hours'
    OR tenant_id = (SELECT o.tenant_id FROM heldtrue.organisations o WHERE o.kind = 'operator'));
CREATE POLICY system_sweep ON heldtrue.idempotency FOR DELETE TO heldtrue_system USING (true);
CREATE POLICY system_operator ON heldtrue.idempotency FOR INSERT TO heldtrue_system
  WITH CHECK (tenant_id = (SELECT o.tenant_id FROM heldtrue.organisations o WHERE o.kind = 'operator'));
CREATE POLICY system ON heldtrue.attachments FOR SELECT TO heldtrue_system USING (true);
CREATE POLICY system ON heldtrue.ledger_documents FOR INSERT TO heldtrue_system WITH CHECK (true);

-- ---------------------------------------------------------------- grants: only what each role does
GRANT SELECT ON heldtrue.organisations, heldtrue.environments TO heldtrue_tenant;
GRANT SELECT, INSERT ON keystore.tenant_keys, keystore.object_keys TO heldtrue_tenant;
GRANT UPDATE (state, wrapped, destroyed_at) ON keystore.object_keys TO heldtrue_tenant;
GRANT SELECT (key_id, purpose, state, public, wrapped, not_before, sign_until, accept_until, leaf_id, compromised_at) ON keystore.signing_keys TO heldtrue_tenant;
GRANT SELECT, INSERT ON heldtrue.api_keys, heldtrue.payloads, heldtrue.attachments, heldtrue.endpoints, heldtrue.receipts,
  heldtrue.deliveries, heldtrue.attempts, heldtrue.ledger_documents, heldtrue.idempotency TO heldtrue_tenant;
GRANT UPDATE (state, expires_at, revoked_at, rolled_to) ON heldtrue.api_keys TO heldtrue_tenant;
GRANT UPDATE (state, meta_sealed, body_sealed, body_object, forwarded_at, erased_at) ON heldtrue.payloads TO heldtrue_tenant;
GRANT UPDATE (meta_sealed, body_sealed, body_object) ON heldtrue.attachments TO heldtrue_tenant;
GRANT UPDATE (state, disabled_for, config_sealed, secrets_sealed) ON heldtrue.endpoints TO heldtrue_tenant;
GRANT UPDATE (sealed) ON heldtrue.receipts TO heldtrue_tenant;
GRANT UPDATE (state, attempts, tries, due_at, lease_until, settled_at) ON heldtrue.deliveries TO heldtrue_tenant;
GRANT UPDATE (sealed) ON heldtrue.ledger_documents TO heldtrue_tenant;
GRANT UPDATE (status, answer), DELETE ON heldtrue.idempotency TO heldtrue_tenant;
GRANT SELECT ON heldtrue.log_origins, heldtrue.log_entries, heldtrue.log_checkpoints TO heldtrue_tenant;
GRANT INSERT ON heldtrue.log_pending TO heldtrue_tenant;

GRANT SELECT (tenant_id, environment, key_id, type, role, scopes, digest, last4, state, created_at, expires_at, revoked_at) ON heldtrue.api_keys TO heldtrue_edge;
GRANT SELECT (tenant_id, environment, receipt_id, payload_id, link_digest) ON heldtrue.receipts TO heldtrue_edge;
GRANT SELECT (tenant_id, state, kind) ON heldtrue.organisations TO heldtrue_edge;

GRANT SELECT, INSERT ON heldtrue.organisations, heldtrue.environments TO heldtrue_system;
GRANT UPDATE (state) ON heldtrue.organisations TO heldtrue_system;
GRANT SELECT, INSERT ON keystore.tenant_keys, keystore.object_keys, keystore.signing_keys TO heldtrue_system;
GRANT UPDATE (state, wrapped) ON keystore.tenant_keys TO heldtrue_system;
GRANT UPDATE (state, wrapped, sign_until, accept_until, leaf_id, compromised_at) ON keystore.signing_keys TO heldtrue_system;
GRANT INSERT ON heldtrue.api_keys TO heldtrue_system;
GRANT SELECT (tenant_id, environment, key_id, type, role, scopes, last4, state, created_at, expires_at, revoked_at) ON heldtrue.api_keys TO heldtrue_system;
GRANT SELECT (tenant_id, environment, payload_id, state, received_at, body_object) ON heldtrue.payloads TO heldtrue_system;
GRANT SELECT (tenant_id, payload_id, body_object) ON heldtrue.attachments TO heldtrue_system;
GRANT UPDATE (forwarded_at) ON heldtrue.payloads TO heldtrue_system;   -- lets FOR UPDATE SKIP LOCKED lock rows
GRANT SELECT ON heldtrue.deliveries TO heldtrue_system;
GRANT UPDATE (lease_until, fence) ON heldtrue.deliveries TO heldtrue_system;
GRANT SELECT, INSERT, DELETE ON heldtrue.idempotency TO heldtrue_system;   -- the operator's requests are idempotent too
GRANT INSERT ON heldtrue.ledger_documents TO heldtrue_system;
GRANT SELECT, INSERT ON heldtrue.log_origins, heldtrue.log_entries, heldtrue.log_checkpoints TO heldtrue_system;
GRANT SELECT, INSERT, DELETE ON heldtrue.log_pending TO heldtrue_system;
GRANT SELECT, INSERT ON heldtrue.attack_runs, heldtrue.attack_results, heldtrue.claim_schedules TO heldtrue_system;
