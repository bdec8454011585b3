-- Mail that goes out, and the document room. The operator's own registers: no organisation has a row in them.
-- Runs as the owner role inside one transaction.

-- ---------------------------------------------------------------- mail out
-- In clear: moments, counts, closed words and keyed hashes. Sealed: whom it goes to, what it says, what was answered.
CREATE TABLE heldtrue.post_mails (
  mail_id      uuid PRIMARY KEY,
  about        text NOT NULL CHECK (about ~ '^[A-Za-z0-9:._-]{1,100}$'), -- what caused it: words and ids
  state        text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'sent', 'failed')),
  to_hash      bytea NOT NULL CHECK (length(to_hash) = 16),              -- keyed: how many one recipient was sent
  draft_sealed bytea NOT NULL,              -- recipient, subject, texts; recipient and subject alone once it is sent
  wire_sealed  bytea,                       -- the message as it was first sent, for every further attempt
  reply_sealed bytea,                       -- what the server said last
  created_at   timestamptz NOT NULL,
  due_at       timestamptz,
  lease_until  timestamptz,
  fence        bigint NOT NULL DEFAULT 0,
  attempts     int NOT NULL DEFAULT 0,
  tries        int NOT NULL DEFAULT 0,      -- of the present schedule; a retry by the operator begins anew
  settled_at   timestamptz,
  failure      text,                        -- a closed word
  status       int CHECK (status BETWEEN 200 AND 599),
  CHECK ((state = 'waiting') = (due_at IS NOT NULL)),
  CHECK ((state = 'waiting') = (settled_at IS NULL))
);
CREATE INDEX post_mails_due ON heldtrue.post_mails (due_at) WHERE state = 'waiting';
CREATE INDEX post_mails_to ON heldtrue.post_mails (to_hash, created_at);
GRANT SELECT, INSERT, DELETE ON heldtrue.post_mails TO heldtrue_system;
GRANT UPDATE (state, draft_sealed, wire_sealed, reply_sealed, due_at, lease_until, fence, attempts, tries, settled_at,
  failure, status) ON heldtrue.post_mails TO heldtrue_system;

-- ---------------------------------------------------------------- the document room
-- What there is, is in the register `documents`. In clear here: names of documents, moments, counts, closed words,
-- digests. Sealed: who asks, in which words, what was answered, who reads.
CREATE TABLE heldtrue.room_files (
  item         text NOT NULL CHECK (item ~ '^[a-z0-9]([a-z0-9-]{0,58}[a-z0-9])?$'),
  version      int NOT NULL CHECK (version >= 1),
  object_key_id uuid NOT NULL,              -- of the operator; destroyed when the document is withdrawn
  body_sealed  bytea,                       -- a small file; a large one is in the object store
  body_object  text,
  content_type text NOT NULL,
  size         bigint NOT NULL CHECK (size >= 0),
  sha256       bytea NOT NULL CHECK (length(sha256) = 32),
  pages        int,                         -- of a PDF that can be marked; NULL: it cannot
  added_at     timestamptz NOT NULL,
  PRIMARY KEY (item, version),
  CHECK (body_sealed IS NULL OR body_object IS NULL)
);

CREATE TABLE heldtrue.room_requests (
  ask_id       uuid PRIMARY KEY,
  kind         text NOT NULL CHECK (kind IN ('document', 'procurement', 'legal')),
  item         text CHECK ((kind = 'document') = (item IS NOT NULL)),
  state        text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'granted', 'refused', 'answered')),
  channel      text NOT NULL CHECK (channel IN ('page', 'mail', 'console')),
  mail_hash    bytea NOT NULL CHECK (length(mail_hash) = 16),            -- keyed
  asker_sealed bytea,                       -- NULL once it was forgotten
  decision_sealed bytea,
  received_at  timestamptz NOT NULL,
  due_at       timestamptz NOT NULL,        -- the end of the business day within which it is answered
  decided_at   timestamptz,
  CHECK ((state = 'open') = (decided_at IS NULL))
);
CREATE INDEX room_requests_open ON heldtrue.room_requests (due_at) WHERE state = 'open';
CREATE INDEX room_requests_mail ON heldtrue.room_requests (mail_hash, received_at);

CREATE TABLE heldtrue.room_grants (
  grant_id     uuid PRIMARY KEY,
  ask_id       uuid NOT NULL REFERENCES heldtrue.room_requests (ask_id),
  item         text NOT NULL,
  link_digest  bytea NOT NULL UNIQUE CHECK (length(link_digest) = 32),   -- SHA-256 of 256 random bits
  needs_agreement boolean NOT NULL,
  reader_sealed bytea,                      -- NULL once it was forgotten
  reason_sealed bytea,                      -- why it was revoked
  created_at   timestamptz NOT NULL,
  expires_at   timestamptz NOT NULL CHECK (expires_at > created_at),
  revoked_at   timestamptz,
  refusals     int NOT NULL DEFAULT 0
);
CREATE INDEX room_grants_ask ON heldtrue.room_grants (ask_id);

CREATE TABLE heldtrue.room_acceptances (    -- who accepted which text, when: append-only, and in the log
  grant_id     uuid PRIMARY KEY REFERENCES heldtrue.room_grants (grant_id),
  agreement    text NOT NULL,
  version      int NOT NULL,
  text_sha256  bytea NOT NULL CHECK (length(text_sha256) = 32),
  accepted_sealed bytea NOT NULL,           -- the logged document with its salt
  leaf_id      uuid NOT NULL,
  accepted_at  timestamptz NOT NULL
);

CREATE TABLE heldtrue.room_downloads (      -- who got which copy: append-only
  download_id  uuid PRIMARY KEY,
  grant_id     uuid NOT NULL REFERENCES heldtrue.room_grants (grant_id),
  item         text NOT NULL,
  version      int NOT NULL,
  marking      text NOT NULL CHECK (marking IN ('none', 'watermark', 'cover-note')),
  size         bigint NOT NULL,             -- of the copy
  sha256       bytea NOT NULL CHECK (length(sha256) = 32),
  at           timestamptz NOT NULL
);
CREATE INDEX room_downloads_grant ON heldtrue.room_downloads (grant_id, download_id);

DO $$
DECLARE t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['room_acceptances', 'room_downloads'] LOOP
    EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON heldtrue.%I FOR EACH ROW EXECUTE FUNCTION heldtrue.refuse_change()', t);
    EXECUTE format('CREATE TRIGGER no_truncate BEFORE TRUNCATE ON heldtrue.%I FOR EACH STATEMENT EXECUTE FUNCTION heldtrue.refuse_change()', t);
  END LOOP;
END $$;
GRANT SELECT, INSERT ON heldtrue.room_files, heldtrue.room_requests, heldtrue.room_grants, heldtrue.room_acceptances,
  heldtrue.room_downloads TO heldtrue_system;
GRANT UPDATE (body_sealed, body_object) ON heldtrue.room_files TO heldtrue_system;      -- withdrawn: to NULL
GRANT UPDATE (state, asker_sealed, decision_sealed, decided_at) ON heldtrue.room_requests TO heldtrue_system;
GRANT UPDATE (reader_sealed, reason_sealed, revoked_at, refusals) ON heldtrue.room_grants TO heldtrue_system;

-- The operator's documents are erased like payloads are: by destroying their keys. Nobody else's, which the grant alone
-- would allow.
GRANT UPDATE (state, wrapped, destroyed_at) ON keystore.object_keys TO heldtrue_system;
CREATE POLICY the_operators_own ON keystore.object_keys AS RESTRICTIVE FOR UPDATE TO heldtrue_system
  USING (tenant_id = (SELECT o.tenant_id FROM heldtrue.organisations o WHERE o.kind = 'operator'))
  WITH CHECK (tenant_id = (SELECT o.tenant_id FROM heldtrue.organisations o WHERE o.kind = 'operator'));
