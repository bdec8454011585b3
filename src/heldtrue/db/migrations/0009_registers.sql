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
