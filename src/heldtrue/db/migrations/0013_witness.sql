-- Witnesses of the log: who cosigned which checkpoint, and where each of them stands.
-- Runs as the owner role inside one transaction.

CREATE TABLE heldtrue.log_cosignatures (  -- the first of each witness over each size: it dates what that tree holds
  generation  int NOT NULL REFERENCES heldtrue.log_origins,
  size        bigint NOT NULL,
  vkey        text NOT NULL CHECK (length(vkey) BETWEEN 10 AND 400),
  line        text NOT NULL CHECK (length(line) BETWEEN 10 AND 1000),
  cosigned_at timestamptz NOT NULL,       -- by the witness's clock
  PRIMARY KEY (generation, size, vkey)
);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON heldtrue.log_cosignatures
  FOR EACH ROW EXECUTE FUNCTION heldtrue.refuse_change();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON heldtrue.log_cosignatures
  FOR EACH STATEMENT EXECUTE FUNCTION heldtrue.refuse_change();

CREATE TABLE heldtrue.log_witnesses (     -- one row a witness and generation, replaced as it goes on
  generation  int NOT NULL REFERENCES heldtrue.log_origins,
  vkey        text NOT NULL CHECK (length(vkey) BETWEEN 10 AND 400),
  seen        bigint NOT NULL DEFAULT 0,  -- how much of the log the witness has by its own word: proofs begin there
  size        bigint,                     -- what its newest cosignature covers
  line        text CHECK (length(line) BETWEEN 10 AND 1000),
  cosigned_at timestamptz,
  asked_at    timestamptz NOT NULL,
  failing_since timestamptz,
  trouble     text NOT NULL DEFAULT '',   -- what is wrong with its latest answer; empty when nothing is
  PRIMARY KEY (generation, vkey),
  CHECK ((size IS NULL) = (line IS NULL) AND (size IS NULL) = (cosigned_at IS NULL))
);

GRANT SELECT ON heldtrue.log_cosignatures TO heldtrue_tenant;   -- proofs carry them
GRANT SELECT, INSERT ON heldtrue.log_cosignatures TO heldtrue_system;
GRANT SELECT, INSERT, UPDATE ON heldtrue.log_witnesses TO heldtrue_system;
