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
