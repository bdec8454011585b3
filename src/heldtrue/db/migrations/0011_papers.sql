-- What customers accepted, what was signed, and the questionnaires that customers put to the operator.
-- Runs as the owner role inside one transaction.

CREATE TABLE heldtrue.acceptances (         -- an organisation accepted a version of a legal text
  tenant_id     uuid NOT NULL,
  environment   text NOT NULL,
  acceptance_id uuid NOT NULL,
  item          text NOT NULL CHECK (item ~ '^[a-z0-9]([a-z0-9.-]{0,78}[a-z0-9])?$'),
  version       int NOT NULL CHECK (version >= 1),
  sha256        text NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),  -- of the register's document, in canonical JSON
  accepted_by_sealed bytea NOT NULL,        -- the person, as named by the caller
  accepted_at   timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, acceptance_id),
  FOREIGN KEY (tenant_id, environment) REFERENCES heldtrue.environments (tenant_id, environment)
);
CREATE INDEX acceptances_list ON heldtrue.acceptances (tenant_id, environment, acceptance_id);

ALTER TABLE heldtrue.acceptances ENABLE ROW LEVEL SECURITY;
ALTER TABLE heldtrue.acceptances FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON heldtrue.acceptances TO heldtrue_tenant
  USING (tenant_id = heldtrue.tenant() AND environment = heldtrue.environment())
  WITH CHECK (tenant_id = heldtrue.tenant() AND environment = heldtrue.environment());
GRANT SELECT, INSERT ON heldtrue.acceptances TO heldtrue_tenant;

CREATE TABLE heldtrue.agreement_files (     -- the bytes of signed copies; what they are is in the register `agreements`
  agreement_id   uuid PRIMARY KEY,
  content_sealed bytea NOT NULL,
  created_at     timestamptz NOT NULL
);
CREATE TABLE heldtrue.questionnaires (
  questionnaire_id uuid PRIMARY KEY,
  file_sealed      bytea NOT NULL,          -- the customer's file as it came
  work_sealed      bytea NOT NULL,          -- its questions, what is proposed and what was confirmed
  created_at       timestamptz NOT NULL,
  changed_at       timestamptz NOT NULL
);

DO $$
DECLARE t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['acceptances', 'agreement_files'] LOOP
    EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON heldtrue.%I FOR EACH ROW EXECUTE FUNCTION heldtrue.refuse_change()', t);
    EXECUTE format('CREATE TRIGGER no_truncate BEFORE TRUNCATE ON heldtrue.%I FOR EACH STATEMENT EXECUTE FUNCTION heldtrue.refuse_change()', t);
  END LOOP;
END $$;
GRANT SELECT, INSERT ON heldtrue.agreement_files TO heldtrue_system;
GRANT SELECT, INSERT, UPDATE (work_sealed, changed_at), DELETE ON heldtrue.questionnaires TO heldtrue_system;
