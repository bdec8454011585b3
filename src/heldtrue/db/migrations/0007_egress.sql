-- The way out of the sandbox: which hosts a transform may call, with which credentials, and what was called.
-- Runs as the owner role inside one transaction.

-- A credential's value is sealed under a key of its own, which a replacement and a deletion destroy.
CREATE TABLE heldtrue.credentials (
  tenant_id     uuid NOT NULL,
  environment   text NOT NULL,
  credential_id uuid NOT NULL,
  state         text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'deleted')),
  version       int NOT NULL DEFAULT 1,              -- grows with each replacement
  config_sealed bytea NOT NULL,                      -- JSON: name, hosts, description; empty once deleted
  value_sealed  bytea,                               -- NULL once deleted
  created_at    timestamptz NOT NULL,
  replaced_at   timestamptz,
  PRIMARY KEY (tenant_id, credential_id),
  FOREIGN KEY (tenant_id, environment) REFERENCES heldtrue.environments (tenant_id, environment),
  CHECK ((state = 'deleted') = (value_sealed IS NULL))
);
CREATE INDEX credentials_list ON heldtrue.credentials (tenant_id, environment, credential_id);

-- What the code of a transform may call, all its versions alike; no row: nothing.
CREATE TABLE heldtrue.transform_egress (
  tenant_id    uuid NOT NULL,
  environment  text NOT NULL,
  transform_id uuid NOT NULL,
  rules_sealed bytea NOT NULL,                       -- JSON: hosts, header templates, which credentials these name
  changed_at   timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, transform_id),
  FOREIGN KEY (tenant_id, transform_id) REFERENCES heldtrue.transforms (tenant_id, transform_id)
);

-- One try of a step that may call out: written before it begins, completed after it. Sealed under the payload's key.
CREATE TABLE heldtrue.egress_sessions (
  tenant_id    uuid NOT NULL,
  environment  text NOT NULL,
  session_id   uuid NOT NULL,
  run_id       uuid NOT NULL,
  payload_id   uuid NOT NULL,
  position     int NOT NULL,
  fence        bigint NOT NULL,                      -- of the claim that opened it
  outcome      text NOT NULL DEFAULT 'open' CHECK (outcome IN ('open', 'closed', 'unknown')),
  opened_at    timestamptz NOT NULL,
  closed_at    timestamptz,
  calls_sealed bytea,                                -- JSON: host, method, status, bytes, time of each call
  PRIMARY KEY (tenant_id, session_id),
  FOREIGN KEY (tenant_id, run_id) REFERENCES heldtrue.runs (tenant_id, run_id),
  CHECK ((outcome = 'open') = (closed_at IS NULL))
);
CREATE INDEX egress_sessions_of_run ON heldtrue.egress_sessions (tenant_id, run_id);
CREATE INDEX egress_sessions_of_payload ON heldtrue.egress_sessions (tenant_id, payload_id);

DO $$
DECLARE t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['credentials', 'transform_egress', 'egress_sessions'] LOOP
    EXECUTE format('ALTER TABLE heldtrue.%I ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('ALTER TABLE heldtrue.%I FORCE ROW LEVEL SECURITY', t);
    EXECUTE format('CREATE POLICY tenant ON heldtrue.%I TO heldtrue_tenant
      USING (tenant_id = heldtrue.tenant() AND environment = heldtrue.environment())
      WITH CHECK (tenant_id = heldtrue.tenant() AND environment = heldtrue.environment())', t);
  END LOOP;
END $$;

GRANT SELECT, INSERT ON heldtrue.credentials, heldtrue.transform_egress, heldtrue.egress_sessions TO heldtrue_tenant;
GRANT UPDATE (state, version, config_sealed, value_sealed, replaced_at) ON heldtrue.credentials TO heldtrue_tenant;
GRANT UPDATE (rules_sealed, changed_at) ON heldtrue.transform_egress TO heldtrue_tenant;
GRANT UPDATE (outcome, closed_at, calls_sealed) ON heldtrue.egress_sessions TO heldtrue_tenant;
