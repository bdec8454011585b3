-- Mail in: the addresses that an organisation's environment receives at.
-- Runs as the owner role inside one transaction.

CREATE TABLE heldtrue.mail_addresses (
  tenant_id     uuid NOT NULL,
  environment   text NOT NULL,
  address_id    uuid NOT NULL,
  digest        bytea NOT NULL CHECK (length(digest) = 32),  -- SHA-256 of the local part, which is 130 random bits
  config_sealed bytea NOT NULL,                              -- local part, label and description
  spf           text NOT NULL CHECK (spf IN ('accept', 'flag', 'refuse')),
  dkim          text NOT NULL CHECK (dkim IN ('accept', 'flag', 'refuse')),
  dmarc         text NOT NULL CHECK (dmarc IN ('accept', 'flag', 'refuse')),
  state         text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'revoked')),
  created_at    timestamptz NOT NULL,
  revoked_at    timestamptz,
  PRIMARY KEY (tenant_id, address_id),
  FOREIGN KEY (tenant_id, environment) REFERENCES heldtrue.environments (tenant_id, environment),
  CHECK ((state = 'revoked') = (revoked_at IS NOT NULL))
);
CREATE INDEX mail_addresses_digest ON heldtrue.mail_addresses (digest);
CREATE INDEX mail_addresses_list ON heldtrue.mail_addresses (tenant_id, environment, address_id);

ALTER TABLE heldtrue.mail_addresses ENABLE ROW LEVEL SECURITY;
ALTER TABLE heldtrue.mail_addresses FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON heldtrue.mail_addresses TO heldtrue_tenant
  USING (tenant_id = heldtrue.tenant() AND environment = heldtrue.environment())
  WITH CHECK (tenant_id = heldtrue.tenant() AND environment = heldtrue.environment());
CREATE POLICY edge ON heldtrue.mail_addresses FOR SELECT TO heldtrue_edge USING (true);

GRANT SELECT, INSERT ON heldtrue.mail_addresses TO heldtrue_tenant;
GRANT UPDATE (state, revoked_at) ON heldtrue.mail_addresses TO heldtrue_tenant;
GRANT SELECT (tenant_id, environment, address_id, digest, spf, dkim, dmarc, state) ON heldtrue.mail_addresses
  TO heldtrue_edge;
