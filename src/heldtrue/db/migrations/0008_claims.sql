-- What stands behind claims beside attacks: dated documents, annotations of failures, and what is remembered of results.
-- Runs as the owner role inside one transaction.

-- ---------------------------------------------------------------- documents and annotations, each an entry of the log
CREATE TABLE heldtrue.attestations (
  claim       text NOT NULL CHECK (length(claim) BETWEEN 1 AND 120),
  leaf_id     uuid NOT NULL,               -- the entry of the log
  document    jsonb NOT NULL,              -- as logged
  recorded_at timestamptz NOT NULL,
  PRIMARY KEY (claim, leaf_id)
);
CREATE TABLE heldtrue.annotations (
  leaf_id     uuid PRIMARY KEY,            -- the entry of the log
  attack      text NOT NULL CHECK (length(attack) BETWEEN 1 AND 120),
  document    jsonb NOT NULL,              -- as logged
  recorded_at timestamptz NOT NULL
);
CREATE INDEX annotations_attack ON heldtrue.annotations (attack, leaf_id);
DO $$
DECLARE t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['attestations', 'annotations'] LOOP
    EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON heldtrue.%I FOR EACH ROW EXECUTE FUNCTION heldtrue.refuse_change()', t);
    EXECUTE format('CREATE TRIGGER no_truncate BEFORE TRUNCATE ON heldtrue.%I FOR EACH STATEMENT EXECUTE FUNCTION heldtrue.refuse_change()', t);
  END LOOP;
END $$;
GRANT SELECT, INSERT ON heldtrue.attestations, heldtrue.annotations TO heldtrue_system;

-- ---------------------------------------------------------------- what is remembered, so that nobody reads years
-- A summary is derived from the log and counts only where the log holds its digest; it may be deleted at any time.
CREATE TABLE heldtrue.claim_summaries (
  leaf_id    uuid PRIMARY KEY,             -- the entry that holds the digest
  generation int NOT NULL,
  size       bigint NOT NULL,              -- entries of that generation which it covers
  content    bytea NOT NULL,               -- compressed; nothing in it that the log does not show in clear
  made_at    timestamptz NOT NULL
);
GRANT SELECT, INSERT, DELETE ON heldtrue.claim_summaries TO heldtrue_system;

-- Entries in clear: every entry of an organisation begins with these six bytes (docs/spec/log.md).
CREATE INDEX log_entries_clear ON heldtrue.log_entries (generation, index)
  WHERE substring(entry FROM 1 FOR 6) <> '\x7b2263223a22'::bytea;
-- Runs that did not hold, for those who page through them; and which source has been seen to succeed.
CREATE INDEX attack_results_not_held ON heldtrue.attack_results (attack, number DESC) WHERE outcome <> 'held';
-- The newest run against a control, and the runs that may still be open, without a look at all the others.
CREATE INDEX attack_runs_control ON heldtrue.attack_runs (attack, number DESC) WHERE against = 'control';
