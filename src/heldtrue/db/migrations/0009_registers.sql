-- Registers of the operator: append-only versions, each with its entry in the log.
-- Runs as the owner role inside one transaction.

CREATE TABLE heldtrue.register_entries (    -- what everybody may read
  register    text NOT NULL CHECK (register ~ '^[a-z][a-z0-9-]{0,39}$'),
  item        text NOT NULL CHECK (item ~ '^[a-z0-9]([a-z0-9.-]{0,78}[a-z0-9])?$'),
  version     int NOT NULL CHECK (version >= 1),
  document    jsonb NOT NULL,
  withdrawn   text,                         -- why it was taken out; NULL while it stands
  leaf_id     uuid NOT NULL,
  recorded_at timestamptz NOT NULL,
  PRIMARY KEY (register, item, version)
);
CREATE TABLE heldtrue.register_sealed (     -- what the operator alone reads; the log has a commitment
  register    text NOT NULL CHECK (register ~ '^[a-z][a-z0-9-]{0,39}$'),
  item        text NOT NULL CHECK (item ~ '^[a-z0-9]([a-z0-9.-]{0,78}[a-z0-9])?$'),
  version     int NOT NULL CHECK (version >= 1),
  document_sealed bytea NOT NULL,
  withdrawn   text,
  leaf_id     uuid NOT NULL,
  recorded_at timestamptz NOT NULL,
  PRIMARY KEY (register, item, version)
);

DO $$
DECLARE t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['register_entries', 'register_sealed'] LOOP
    EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON heldtrue.%I FOR EACH ROW EXECUTE FUNCTION heldtrue.refuse_change()', t);
    EXECUTE format('CREATE TRIGGER no_truncate BEFORE TRUNCATE ON heldtrue.%I FOR EACH STATEMENT EXECUTE FUNCTION heldtrue.refuse_change()', t);
  END LOOP;
END $$;
GRANT SELECT, INSERT ON heldtrue.register_entries, heldtrue.register_sealed TO heldtrue_system;
-- Organisations ask whether a vendor is listed before they choose, and pages of the tenant role read the same list.
GRANT SELECT (register, item, version, document, withdrawn, leaf_id, recorded_at) ON heldtrue.register_entries TO heldtrue_tenant;

-- ---------------------------------------------------------------- what organisations say to the list
CREATE TABLE heldtrue.vendor_choices (      -- which optional vendors may have this environment's data; no row: none
  tenant_id   uuid NOT NULL,
  environment text NOT NULL,
  vendor      text NOT NULL CHECK (vendor ~ '^[a-z0-9]([a-z0-9.-]{0,78}[a-z0-9])?$'),
  permitted   boolean NOT NULL,
  decided_at  timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, environment, vendor),
  FOREIGN KEY (tenant_id, environment) REFERENCES heldtrue.environments (tenant_id, environment)
);
CREATE TABLE heldtrue.objections (
  tenant_id       uuid NOT NULL,
  environment     text NOT NULL,
  objection_id    uuid NOT NULL,
  sub_processor   text NOT NULL,
  reason_sealed   bytea NOT NULL,           -- the customer's words, for the operator to read
  objected_at     timestamptz NOT NULL,
  response_sealed bytea,                    -- the operator's words, for the customer to read
  responded_at    timestamptz CHECK ((responded_at IS NULL) = (response_sealed IS NULL)),
  PRIMARY KEY (tenant_id, objection_id),
  FOREIGN KEY (tenant_id, environment) REFERENCES heldtrue.environments (tenant_id, environment)
);
CREATE INDEX objections_open ON heldtrue.objections (objected_at) WHERE responded_at IS NULL;

DO $$
DECLARE t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['vendor_choices', 'objections'] LOOP
    EXECUTE format('ALTER TABLE heldtrue.%I ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('ALTER TABLE heldtrue.%I FORCE ROW LEVEL SECURITY', t);
    EXECUTE format('CREATE POLICY tenant ON heldtrue.%I TO heldtrue_tenant
      USING (tenant_id = heldtrue.tenant() AND environment = heldtrue.environment())
      WITH CHECK (tenant_id = heldtrue.tenant() AND environment = heldtrue.environment())', t);
    EXECUTE format('CREATE POLICY system ON heldtrue.%I TO heldtrue_system USING (true) WITH CHECK (true)', t);
  END LOOP;
END $$;
GRANT SELECT, INSERT, UPDATE (permitted, decided_at) ON heldtrue.vendor_choices TO heldtrue_tenant;
GRANT SELECT, INSERT ON heldtrue.objections TO heldtrue_tenant;
GRANT SELECT, UPDATE (response_sealed, responded_at) ON heldtrue.objections TO heldtrue_system;

-- ---------------------------------------------------------------- readers who want to be told
CREATE TABLE heldtrue.subscribers (
  subscriber_id  uuid PRIMARY KEY,
  address_sealed bytea,                     -- NULL once they left: then nothing of them is kept but the times
  address_hash   bytea CHECK (length(address_hash) = 32 AND (address_hash IS NULL) = (address_sealed IS NULL)),
  asked_at       timestamptz NOT NULL,
  confirmed_at   timestamptz,
  told_until     timestamptz NOT NULL,      -- notices up to then are none of theirs, or were sent
  left_at        timestamptz CHECK ((left_at IS NULL) = (address_sealed IS NOT NULL))
);
CREATE UNIQUE INDEX subscribers_address ON heldtrue.subscribers (address_hash);
GRANT SELECT, INSERT, UPDATE (address_sealed, address_hash, asked_at, confirmed_at, told_until, left_at), DELETE
  ON heldtrue.subscribers TO heldtrue_system;

-- ---------------------------------------------------------------- hosts that the house itself called
CREATE TABLE heldtrue.house_calls (
  host     text NOT NULL CHECK (length(host) BETWEEN 1 AND 253),
  part     text NOT NULL CHECK (part ~ '^[a-z-]{1,40}$'),
  first_at timestamptz NOT NULL,
  last_at  timestamptz NOT NULL,
  PRIMARY KEY (host, part)
);
GRANT SELECT, INSERT, UPDATE (last_at) ON heldtrue.house_calls TO heldtrue_system;
