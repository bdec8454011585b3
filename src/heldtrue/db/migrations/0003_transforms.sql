-- Transforms and flows: customers' code in immutable versions, chains of steps, runs under a lease, and their outputs.
-- Runs as the owner role inside one transaction.

ALTER TABLE heldtrue.payloads DROP CONSTRAINT payloads_state_check;
ALTER TABLE heldtrue.payloads ADD CONSTRAINT payloads_state_check
  CHECK (state IN ('accepted', 'processing', 'forwarded', 'erased'));

-- ---------------------------------------------------------------- transforms
CREATE TABLE heldtrue.transforms (
  tenant_id     uuid NOT NULL,
  environment   text NOT NULL,
  transform_id  uuid NOT NULL,
  state         text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'deleted')),
  current       int NOT NULL CHECK (current >= 1),   -- the version that steps without a number run
  config_sealed bytea NOT NULL,                      -- JSON: name, description
  created_at    timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, transform_id),
  FOREIGN KEY (tenant_id, environment) REFERENCES heldtrue.environments (tenant_id, environment)
);
CREATE INDEX transforms_list ON heldtrue.transforms (tenant_id, environment, transform_id);

CREATE TABLE heldtrue.transform_versions (
  tenant_id    uuid NOT NULL,
  environment  text NOT NULL,
  transform_id uuid NOT NULL,
  number       int NOT NULL CHECK (number >= 1),
  language     text NOT NULL CHECK (language IN ('python', 'javascript', 'builtin')),
  digest       bytea NOT NULL CHECK (length(digest) = 32),   -- SHA-256 over the language, a zero byte and the code
  size         int NOT NULL,
  code_sealed  bytea,                                -- NULL once the transform was deleted
  note_sealed  bytea,
  created_at   timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, transform_id, number),
  FOREIGN KEY (tenant_id, transform_id) REFERENCES heldtrue.transforms (tenant_id, transform_id)
);

-- A version never changes; its code may only be forgotten.
CREATE FUNCTION heldtrue.versions_are_immutable() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.code_sealed IS NOT NULL OR NEW.note_sealed IS NOT NULL THEN
    RAISE EXCEPTION 'version % of transform % is immutable: its change is refused', OLD.number, OLD.transform_id
      USING ERRCODE = 'insufficient_privilege';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER immutable BEFORE UPDATE ON heldtrue.transform_versions
  FOR EACH ROW EXECUTE FUNCTION heldtrue.versions_are_immutable();

-- ---------------------------------------------------------------- flows
CREATE TABLE heldtrue.flows (
  tenant_id     uuid NOT NULL,
  environment   text NOT NULL,
  flow_id       uuid NOT NULL,
  state         text NOT NULL CHECK (state IN ('enabled', 'disabled', 'deleted')),
  trigger       text NOT NULL CHECK (trigger IN ('payload', 'schedule')),
  revision      int NOT NULL DEFAULT 1,              -- grows with each change of the steps: a run begins anew
  transforms    uuid[] NOT NULL,                     -- which transforms its steps name
  config_sealed bytea NOT NULL,                      -- JSON: name, filters, schedule, steps with their configuration
  next_at       timestamptz,                         -- when the schedule is due next
  created_at    timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, flow_id),
  FOREIGN KEY (tenant_id, environment) REFERENCES heldtrue.environments (tenant_id, environment)
);
CREATE INDEX flows_list ON heldtrue.flows (tenant_id, environment, flow_id);
CREATE INDEX flows_due ON heldtrue.flows (next_at) WHERE next_at IS NOT NULL AND state = 'enabled';

-- ---------------------------------------------------------------- runs
CREATE TABLE heldtrue.runs (
  tenant_id    uuid NOT NULL,
  environment  text NOT NULL,
  run_id       uuid NOT NULL,
  flow_id      uuid NOT NULL,
  payload_id   uuid NOT NULL,
  state        text NOT NULL CHECK (state IN ('queued', 'running', 'done', 'failed', 'cancelled')),
  step         int NOT NULL DEFAULT 0,               -- the step that comes next, from 0
  steps        int NOT NULL,
  revision     int NOT NULL,
  tries        int NOT NULL DEFAULT 0,               -- of this step that failed; a retry by hand begins anew
  outcome      text,                                 -- what the newest try came to, a fixed word
  outputs      int NOT NULL DEFAULT 0,
  due_at       timestamptz,                          -- NULL when nothing is due
  lease_until  timestamptz,
  fence        bigint NOT NULL DEFAULT 0,            -- grows with each claim and with each word of a user
  created_at   timestamptz NOT NULL,
  settled_at   timestamptz,
  PRIMARY KEY (tenant_id, run_id),
  UNIQUE (tenant_id, flow_id, payload_id),           -- a payload goes through a flow once
  FOREIGN KEY (tenant_id, flow_id) REFERENCES heldtrue.flows (tenant_id, flow_id),
  FOREIGN KEY (tenant_id, payload_id) REFERENCES heldtrue.payloads (tenant_id, payload_id)
);
CREATE INDEX runs_due ON heldtrue.runs (tenant_id, due_at) WHERE state IN ('queued', 'running');
CREATE INDEX runs_list ON heldtrue.runs (tenant_id, environment, run_id);
CREATE INDEX runs_of_payload ON heldtrue.runs (tenant_id, payload_id);
CREATE INDEX runs_failed ON heldtrue.runs (tenant_id) WHERE state = 'failed';

-- The newest try of each step of a run. All that is sealed is sealed under the payload's key, and goes with it.
CREATE TABLE heldtrue.run_steps (
  tenant_id     uuid NOT NULL,
  environment   text NOT NULL,
  run_id        uuid NOT NULL,
  position      int NOT NULL CHECK (position >= 0),
  payload_id    uuid NOT NULL,
  transform_id  uuid NOT NULL,
  version       int NOT NULL,
  digest        bytea NOT NULL CHECK (length(digest) = 32),
  outcome       text NOT NULL,
  sandbox       text,                                -- identity of the environment that it ran in
  inputs        int NOT NULL,
  outputs       int NOT NULL,
  tries         int NOT NULL,
  wall_ms       int NOT NULL,
  cpu_ms        int NOT NULL,
  peak_bytes    bigint,
  result_sealed bytea,                               -- what the next step begins with; NULL after the last one
  logs_sealed   bytea,
  error_sealed  bytea,
  finished_at   timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, run_id, position),
  FOREIGN KEY (tenant_id, run_id) REFERENCES heldtrue.runs (tenant_id, run_id)
);
CREATE INDEX run_steps_of_payload ON heldtrue.run_steps (tenant_id, payload_id);

-- ---------------------------------------------------------------- outputs
CREATE TABLE heldtrue.outputs (
  tenant_id    uuid NOT NULL,
  environment  text NOT NULL,
  output_id    uuid NOT NULL,
  payload_id   uuid NOT NULL,
  ordinal      int NOT NULL CHECK (ordinal >= 1),    -- over all runs of the payload; 0 is the payload itself
  run_id       uuid NOT NULL,
  number       int,                                  -- within the run; NULL: a notice of its failure
  size         bigint NOT NULL,
  meta_sealed  bytea,                                -- JSON: type, digests, what made it
  body_sealed  bytea,
  body_object  text,
  created_at   timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, output_id),
  UNIQUE (tenant_id, payload_id, ordinal),
  UNIQUE (tenant_id, run_id, number),
  FOREIGN KEY (tenant_id, payload_id) REFERENCES heldtrue.payloads (tenant_id, payload_id),
  FOREIGN KEY (tenant_id, run_id) REFERENCES heldtrue.runs (tenant_id, run_id)
);
CREATE INDEX outputs_object ON heldtrue.outputs (body_object) WHERE body_object IS NOT NULL;

ALTER TABLE heldtrue.receipts ADD COLUMN output_id uuid;   -- NULL: of the payload itself, unchanged
ALTER TABLE heldtrue.receipts ADD FOREIGN KEY (tenant_id, output_id) REFERENCES heldtrue.outputs (tenant_id, output_id);

-- ---------------------------------------------------------------- row-level security
DO $$
DECLARE t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['transforms', 'transform_versions', 'flows', 'runs', 'run_steps', 'outputs'] LOOP
    EXECUTE format('ALTER TABLE heldtrue.%I ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('ALTER TABLE heldtrue.%I FORCE ROW LEVEL SECURITY', t);
    EXECUTE format('CREATE POLICY tenant ON heldtrue.%I TO heldtrue_tenant
      USING (tenant_id = heldtrue.tenant() AND environment = heldtrue.environment())
      WITH CHECK (tenant_id = heldtrue.tenant() AND environment = heldtrue.environment())', t);
  END LOOP;
END $$;
-- The system role finds what is due across tenants by queue columns only; the work is done in a tenant's transaction.
CREATE POLICY system ON heldtrue.runs FOR SELECT TO heldtrue_system USING (true);
CREATE POLICY system_claim ON heldtrue.runs FOR UPDATE TO heldtrue_system USING (true) WITH CHECK (true);
CREATE POLICY system ON heldtrue.flows FOR SELECT TO heldtrue_system USING (true);
CREATE POLICY system ON heldtrue.outputs FOR SELECT TO heldtrue_system USING (true);

-- ---------------------------------------------------------------- grants
GRANT SELECT, INSERT ON heldtrue.transforms, heldtrue.transform_versions, heldtrue.flows, heldtrue.runs,
  heldtrue.run_steps, heldtrue.outputs TO heldtrue_tenant;
GRANT UPDATE (state, current, config_sealed) ON heldtrue.transforms TO heldtrue_tenant;
GRANT UPDATE (code_sealed, note_sealed) ON heldtrue.transform_versions TO heldtrue_tenant;
GRANT UPDATE (state, trigger, revision, transforms, config_sealed, next_at) ON heldtrue.flows TO heldtrue_tenant;
GRANT UPDATE (state, step, steps, revision, tries, outcome, outputs, due_at, lease_until, fence, settled_at)
  ON heldtrue.runs TO heldtrue_tenant;
GRANT UPDATE (transform_id, version, digest, outcome, sandbox, inputs, outputs, tries, wall_ms, cpu_ms, peak_bytes,
  result_sealed, logs_sealed, error_sealed, finished_at) ON heldtrue.run_steps TO heldtrue_tenant;
GRANT UPDATE (meta_sealed, body_sealed, body_object) ON heldtrue.outputs TO heldtrue_tenant;
GRANT SELECT (output_id) ON heldtrue.receipts TO heldtrue_edge;
GRANT SELECT ON heldtrue.runs TO heldtrue_system;
GRANT UPDATE (state, lease_until, fence) ON heldtrue.runs TO heldtrue_system;
GRANT SELECT (tenant_id, environment, flow_id, state, next_at) ON heldtrue.flows TO heldtrue_system;
GRANT SELECT (tenant_id, output_id, body_object) ON heldtrue.outputs TO heldtrue_system;
