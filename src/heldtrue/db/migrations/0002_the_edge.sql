-- The edge: keys in full, the change feed that keeps every process's snapshot current, session tokens, shared limits.
-- Runs as the owner role inside one transaction.

-- ---------------------------------------------------------------- keys in full
ALTER TABLE heldtrue.api_keys
  ADD COLUMN grants      text[] NOT NULL DEFAULT '{}',  -- the customer's own scope names, handed up to its own API
  ADD COLUMN origins     text[] NOT NULL DEFAULT '{}',  -- web origins it may be used from; empty: any
  ADD COLUMN addresses   text[] NOT NULL DEFAULT '{}',  -- networks it may be used from; empty: any
  ADD COLUMN leaked_at   timestamptz,                   -- when a signed report said that it is public
  ADD COLUMN reminded_at timestamptz;                   -- when its holder was last reminded to roll it
GRANT UPDATE (leaked_at, reminded_at) ON heldtrue.api_keys TO heldtrue_tenant;
GRANT SELECT (grants, origins, addresses) ON heldtrue.api_keys TO heldtrue_edge;
GRANT SELECT (leaked_at, reminded_at) ON heldtrue.api_keys TO heldtrue_system;

CREATE TABLE heldtrue.key_uses (           -- apart from the keys, so that a use never waits for a change and is none
  tenant_id    uuid NOT NULL,
  environment  text NOT NULL,
  key_id       uuid NOT NULL,
  last_used_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, key_id),
  FOREIGN KEY (tenant_id, key_id) REFERENCES heldtrue.api_keys (tenant_id, key_id)
);

-- ---------------------------------------------------------------- session tokens
CREATE TABLE heldtrue.session_generations ( -- tokens minted under an earlier generation are refused
  tenant_id   uuid NOT NULL,
  environment text NOT NULL,
  generation  bigint NOT NULL CHECK (generation >= 0),
  changed_at  timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, environment),
  FOREIGN KEY (tenant_id, environment) REFERENCES heldtrue.environments (tenant_id, environment)
);
ALTER TABLE keystore.signing_keys DROP CONSTRAINT signing_keys_purpose_check;
ALTER TABLE keystore.signing_keys ADD CONSTRAINT signing_keys_purpose_check
  CHECK (purpose IN ('log', 'receipt', 'evidence', 'session'));
GRANT USAGE ON SCHEMA keystore TO heldtrue_edge;
GRANT SELECT (key_id, purpose, state, public, not_before, sign_until, accept_until, compromised_at)
  ON keystore.signing_keys TO heldtrue_edge;

-- ---------------------------------------------------------------- keys that identity headers are authenticated with
CREATE TABLE keystore.upstream_keys (
  key_id       uuid PRIMARY KEY,
  upstream     text NOT NULL CHECK (upstream ~ '^[a-z0-9-]{1,40}$'),
  state        text NOT NULL CHECK (state IN ('active', 'deactivated', 'destroyed')),
  wrapped      bytea,                      -- AES-KWP under the platform key; NULL once destroyed
  created_at   timestamptz NOT NULL,
  accept_until timestamptz,                -- until when an upstream should still accept it (NULL: while active)
  CHECK ((state = 'destroyed') = (wrapped IS NULL))
);
CREATE UNIQUE INDEX upstream_keys_one_active ON keystore.upstream_keys (upstream) WHERE state = 'active';
GRANT SELECT, INSERT ON keystore.upstream_keys TO heldtrue_system;
GRANT UPDATE (state, wrapped, accept_until) ON keystore.upstream_keys TO heldtrue_system;

-- ---------------------------------------------------------------- the change feed
-- Numbered in the order of commits: the number is given at commit, under a lock that is held until it is done.
CREATE TABLE heldtrue.edge_changes (
  generation  bigint NOT NULL,
  tenant_id   uuid NOT NULL,               -- all zero: of the instance as a whole
  environment text NOT NULL,
  kind        text NOT NULL CHECK (kind IN ('key', 'organisation', 'session', 'signing')),
  subject     uuid NOT NULL,
  made_at     timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, generation)
);
CREATE INDEX edge_changes_order ON heldtrue.edge_changes (generation);

CREATE SEQUENCE heldtrue.edge_generation;
GRANT USAGE ON SEQUENCE heldtrue.edge_generation TO heldtrue_tenant, heldtrue_system;

CREATE FUNCTION heldtrue.note_edge_change() RETURNS trigger LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  changed record := CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
  numbered bigint;
BEGIN
  PERFORM pg_advisory_xact_lock(79526793397572);   -- "HTFEED", until the commit is done
  numbered := nextval('heldtrue.edge_generation');
  IF TG_ARGV[0] = 'key' THEN
    INSERT INTO heldtrue.edge_changes VALUES
      (numbered, changed.tenant_id, changed.environment, 'key', changed.key_id, clock_timestamp());
  ELSIF TG_ARGV[0] = 'organisation' THEN
    INSERT INTO heldtrue.edge_changes VALUES
      (numbered, changed.tenant_id, '', 'organisation', changed.tenant_id, clock_timestamp());
  ELSIF TG_ARGV[0] = 'session' THEN
    INSERT INTO heldtrue.edge_changes VALUES
      (numbered, changed.tenant_id, changed.environment, 'session', changed.tenant_id, clock_timestamp());
  ELSE
    INSERT INTO heldtrue.edge_changes VALUES
      (numbered, '00000000-0000-0000-0000-000000000000', '', 'signing', changed.key_id, clock_timestamp());
  END IF;
  PERFORM pg_notify('heldtrue_edge', numbered::text);
  RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION heldtrue.note_edge_change() FROM PUBLIC;

CREATE CONSTRAINT TRIGGER edge_change AFTER INSERT OR UPDATE OR DELETE ON heldtrue.api_keys
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION heldtrue.note_edge_change('key');
CREATE CONSTRAINT TRIGGER edge_change AFTER INSERT OR UPDATE OR DELETE ON heldtrue.organisations
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION heldtrue.note_edge_change('organisation');
CREATE CONSTRAINT TRIGGER edge_change AFTER INSERT OR UPDATE OR DELETE ON heldtrue.session_generations
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION heldtrue.note_edge_change('session');
CREATE CONSTRAINT TRIGGER edge_change AFTER INSERT OR UPDATE OR DELETE ON keystore.signing_keys
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION heldtrue.note_edge_change('signing');

-- ---------------------------------------------------------------- limits shared by processes: leases on GCRA buckets
CREATE TABLE heldtrue.rate_buckets (
  bucket  bytea PRIMARY KEY CHECK (length(bucket) = 16),  -- digest of the limit's name and of whom it is about
  arrival double precision NOT NULL                       -- theoretical arrival time, seconds since 1970
);
-- Give out up to wants[i] requests of each bucket; the caller names buckets in order, so that two never deadlock.
CREATE FUNCTION heldtrue.lease(buckets bytea[], wants int[], intervals double precision[], bursts int[])
  RETURNS TABLE (granted int, level double precision) LANGUAGE plpgsql AS $$
DECLARE
  moment double precision; before double precision; room int;
BEGIN
  FOR i IN 1 .. coalesce(array_length(buckets, 1), 0) LOOP
    LOOP                                                  -- until it is there and ours: a sweep may take it away between
      SELECT b.arrival INTO before FROM heldtrue.rate_buckets b WHERE b.bucket = buckets[i] FOR UPDATE;
      EXIT WHEN FOUND;
      INSERT INTO heldtrue.rate_buckets AS b VALUES (buckets[i], 0) ON CONFLICT (bucket) DO NOTHING;
    END LOOP;
    moment := extract(epoch FROM clock_timestamp());
    before := least(greatest(before, moment), moment + bursts[i] * intervals[i]);  -- also where the clock was set back
    room := greatest(0, floor(bursts[i] - (before - moment) / intervals[i] + 1e-9)::int);
    granted := least(wants[i], room);
    level := before - moment + granted * intervals[i];    -- seconds until the bucket is full again
    IF granted > 0 THEN
      UPDATE heldtrue.rate_buckets b SET arrival = moment + level WHERE b.bucket = buckets[i];
    END IF;
    RETURN NEXT;
  END LOOP;
END $$;
REVOKE ALL ON FUNCTION heldtrue.lease(bytea[], int[], double precision[], int[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION heldtrue.lease(bytea[], int[], double precision[], int[]) TO heldtrue_system;
GRANT SELECT, INSERT, UPDATE, DELETE ON heldtrue.rate_buckets TO heldtrue_system;

-- ---------------------------------------------------------------- recorded probes of customers' own APIs
CREATE TABLE heldtrue.probes (
  leaf_id     uuid PRIMARY KEY,            -- the document's entry in the log
  evidence    jsonb NOT NULL,              -- the signed document, in clear as in the log
  recorded_at timestamptz NOT NULL
);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON heldtrue.probes
  FOR EACH ROW EXECUTE FUNCTION heldtrue.refuse_change();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON heldtrue.probes
  FOR EACH STATEMENT EXECUTE FUNCTION heldtrue.refuse_change();
GRANT SELECT, INSERT ON heldtrue.probes TO heldtrue_system;

-- ---------------------------------------------------------------- row-level security and grants
DO $$
DECLARE t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['key_uses', 'session_generations'] LOOP
    EXECUTE format('ALTER TABLE heldtrue.%I ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('ALTER TABLE heldtrue.%I FORCE ROW LEVEL SECURITY', t);
    EXECUTE format('CREATE POLICY tenant ON heldtrue.%I TO heldtrue_tenant
      USING (tenant_id = heldtrue.tenant() AND environment = heldtrue.environment())
      WITH CHECK (tenant_id = heldtrue.tenant() AND environment = heldtrue.environment())', t);
  END LOOP;
END $$;
ALTER TABLE heldtrue.edge_changes ENABLE ROW LEVEL SECURITY;
ALTER TABLE heldtrue.edge_changes FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON heldtrue.edge_changes FOR INSERT TO heldtrue_tenant
  WITH CHECK (tenant_id = heldtrue.tenant() AND environment = heldtrue.environment());
CREATE POLICY edge ON heldtrue.edge_changes FOR SELECT TO heldtrue_edge USING (true);
CREATE POLICY system ON heldtrue.edge_changes TO heldtrue_system USING (true) WITH CHECK (true);
CREATE POLICY edge ON heldtrue.session_generations FOR SELECT TO heldtrue_edge USING (true);
CREATE POLICY system ON heldtrue.key_uses TO heldtrue_system USING (true) WITH CHECK (true);

GRANT SELECT ON heldtrue.key_uses TO heldtrue_tenant;
GRANT SELECT, INSERT, UPDATE (last_used_at) ON heldtrue.key_uses TO heldtrue_system;
GRANT SELECT, INSERT, UPDATE (generation, changed_at) ON heldtrue.session_generations TO heldtrue_tenant;
GRANT SELECT ON heldtrue.session_generations TO heldtrue_edge;
GRANT SELECT ON heldtrue.edge_changes TO heldtrue_edge;
GRANT INSERT ON heldtrue.edge_changes TO heldtrue_tenant;
GRANT SELECT, INSERT, DELETE ON heldtrue.edge_changes TO heldtrue_system;
