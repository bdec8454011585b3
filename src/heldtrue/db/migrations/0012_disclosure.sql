-- Vulnerability reports and their clock, the OpenPGP key they may be encrypted to; evidence from outside and its findings.
-- Runs as the owner role inside one transaction. All of it is the operator's own: no organisation's data.

-- ---------------------------------------------------------------- reports of vulnerabilities
CREATE TABLE heldtrue.reports (
  report_id       uuid PRIMARY KEY,
  state           text NOT NULL CHECK (state IN ('received', 'acknowledged', 'triaged', 'confirmed', 'fixed', 'disclosed',
                                                 'not-applicable', 'duplicate')),
  link_digest     bytea NOT NULL UNIQUE CHECK (length(link_digest) = 32),  -- of the reporter's own link
  encrypted       boolean NOT NULL,      -- the first message is an OpenPGP message
  calendar        text NOT NULL,         -- ISO 3166; its clock runs by these business days
  zone            text NOT NULL,
  received_at     timestamptz NOT NULL,
  due_at          timestamptz NOT NULL CHECK (due_at > received_at),
  reporter_sealed bytea NOT NULL,        -- title, name, mail, whether to be named
  acknowledged_at timestamptz,
  vector          text,
  score_tenths    int CHECK (score_tenths BETWEEN 0 AND 100),
  severity        text CHECK (severity IN ('critical', 'high', 'medium', 'low', 'none')),
  duplicate_of    uuid REFERENCES heldtrue.reports,
  award_cents     bigint CHECK (award_cents > 0),
  awarded_at      timestamptz,
  thanked_at      timestamptz,
  closed_at       timestamptz,
  CHECK ((state = 'received') = (acknowledged_at IS NULL)),
  CHECK ((state = 'duplicate') = (duplicate_of IS NOT NULL)),
  CHECK ((award_cents IS NULL) = (awarded_at IS NULL)),
  CHECK (award_cents IS NULL OR state IN ('confirmed', 'fixed', 'disclosed'))
);
CREATE INDEX reports_waiting ON heldtrue.reports (due_at) WHERE acknowledged_at IS NULL;

CREATE TABLE heldtrue.report_messages (
  report_id   uuid NOT NULL REFERENCES heldtrue.reports,
  number      int NOT NULL CHECK (number BETWEEN 1 AND 50),
  author      text NOT NULL CHECK (author IN ('reporter', 'company')),
  encrypted   boolean NOT NULL,
  text_sealed bytea NOT NULL,
  sent_at     timestamptz NOT NULL,
  PRIMARY KEY (report_id, number)
);

-- The clock cannot be set back: when a report came and when it is due are written once, an acknowledgement too, and no
-- report is deleted.
CREATE FUNCTION heldtrue.keep_report_clock() RETURNS trigger LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF (NEW.report_id, NEW.received_at, NEW.due_at, NEW.calendar, NEW.zone, NEW.link_digest)
     IS DISTINCT FROM (OLD.report_id, OLD.received_at, OLD.due_at, OLD.calendar, OLD.zone, OLD.link_digest)
     OR (OLD.acknowledged_at IS NOT NULL AND NEW.acknowledged_at IS DISTINCT FROM OLD.acknowledged_at)
     OR (OLD.award_cents IS NOT NULL AND NEW.award_cents IS DISTINCT FROM OLD.award_cents) THEN
    RAISE EXCEPTION 'the clock and the reward of a report are written once'
      USING ERRCODE = 'insufficient_privilege';
  END IF;
  RETURN NEW;
END $$;
REVOKE ALL ON FUNCTION heldtrue.keep_report_clock() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION heldtrue.keep_report_clock() TO heldtrue_system;
CREATE TRIGGER keep_clock BEFORE UPDATE ON heldtrue.reports FOR EACH ROW EXECUTE FUNCTION heldtrue.keep_report_clock();
CREATE TRIGGER no_delete BEFORE DELETE ON heldtrue.reports FOR EACH ROW EXECUTE FUNCTION heldtrue.refuse_change();
GRANT SELECT, INSERT, UPDATE ON heldtrue.reports TO heldtrue_system;
GRANT SELECT, INSERT ON heldtrue.report_messages TO heldtrue_system;

CREATE TABLE heldtrue.disclosure_keys (   -- OpenPGP
  fingerprint   text PRIMARY KEY CHECK (fingerprint ~ '^[0-9A-F]{40}$'),
  public_key    text NOT NULL,            -- in ASCII armour; published
  secret_sealed bytea,                    -- NULL: the operator keeps it elsewhere
  made_at       timestamptz NOT NULL,
  expires_at    timestamptz NOT NULL,
  retired_at    timestamptz
);
CREATE UNIQUE INDEX disclosure_keys_one ON heldtrue.disclosure_keys ((true)) WHERE retired_at IS NULL;
GRANT SELECT, INSERT, UPDATE ON heldtrue.disclosure_keys TO heldtrue_system;

-- ---------------------------------------------------------------- evidence from outside
CREATE TABLE heldtrue.pipeline_keys (     -- who may sign evidence
  pipeline_key_id text PRIMARY KEY CHECK (pipeline_key_id ~ '^[0-9a-f]{64}$'),  -- SHA-256 of the public key
  name            text NOT NULL,
  public          bytea NOT NULL CHECK (length(public) = 32),
  made_at         timestamptz NOT NULL,
  revoked_at      timestamptz
);
GRANT SELECT, INSERT, UPDATE ON heldtrue.pipeline_keys TO heldtrue_system;

CREATE TABLE heldtrue.evidence (
  evidence_id     uuid PRIMARY KEY,
  kind            text NOT NULL CHECK (kind ~ '^[a-z][a-z0-9-]{0,39}$'),
  subject         text NOT NULL,          -- what it is about: a release, by name
  subject_sha256  bytea NOT NULL CHECK (length(subject_sha256) = 32),
  sha256          bytea NOT NULL UNIQUE CHECK (length(sha256) = 32),  -- of the signed payload
  size            int NOT NULL,
  pipeline_key_id text NOT NULL REFERENCES heldtrue.pipeline_keys,
  summary         jsonb NOT NULL,
  document_sealed bytea NOT NULL,
  leaf_id         uuid NOT NULL,
  produced_at     timestamptz NOT NULL,
  received_at     timestamptz NOT NULL,
  expires_at      timestamptz NOT NULL
);
CREATE INDEX evidence_newest ON heldtrue.evidence (kind, produced_at DESC);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON heldtrue.evidence FOR EACH ROW EXECUTE FUNCTION heldtrue.refuse_change();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON heldtrue.evidence FOR EACH STATEMENT EXECUTE FUNCTION heldtrue.refuse_change();
GRANT SELECT, INSERT ON heldtrue.evidence TO heldtrue_system;

CREATE TABLE heldtrue.tracked_findings (
  finding_id     uuid PRIMARY KEY,
  fingerprint    bytea NOT NULL UNIQUE CHECK (length(fingerprint) = 32),  -- the same finding in the next run
  source         text NOT NULL,           -- kind of evidence it came by
  rule           text NOT NULL,
  severity       text NOT NULL CHECK (severity IN ('critical', 'high', 'medium', 'low', 'none')),
  detail_sealed  bytea NOT NULL,          -- title and place
  state          text NOT NULL CHECK (state IN ('open', 'resolved', 'accepted')),
  first_seen     timestamptz NOT NULL,
  last_seen      timestamptz NOT NULL,
  due_at         timestamptz NOT NULL,
  resolved_at    timestamptz,
  accepted_by    text,
  accepted_until timestamptz,
  reason_sealed  bytea,                   -- why it is accepted, or how it was resolved
  evidence_id    uuid NOT NULL REFERENCES heldtrue.evidence,
  CHECK ((state = 'resolved') = (resolved_at IS NOT NULL)),
  CHECK ((state = 'accepted') = (accepted_until IS NOT NULL AND accepted_by IS NOT NULL))
);
CREATE INDEX tracked_findings_open ON heldtrue.tracked_findings (due_at) WHERE state <> 'resolved';
GRANT SELECT, INSERT, UPDATE ON heldtrue.tracked_findings TO heldtrue_system;
