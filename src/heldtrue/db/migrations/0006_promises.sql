-- What was promised and what arrived: facts about a delivery that no later replay, erasure or deletion changes.
-- Runs as the owner role inside one transaction.

ALTER TABLE heldtrue.organisations
  ADD COLUMN plan text NOT NULL DEFAULT 'default' CHECK (plan ~ '^[a-z0-9-]{1,40}$');

ALTER TABLE heldtrue.deliveries
  ADD COLUMN arrived_at   timestamptz,  -- when it was first answered with 2xx
  ADD COLUMN arrived_by   int,          -- at which attempt
  ADD COLUMN given_up_at  timestamptz,  -- when its schedule first ended without an arrival
  ADD COLUMN withdrawn_at timestamptz,  -- when its customer ended it first: the endpoint deleted, the payload erased
  ADD COLUMN held_for     text;         -- why it was last held: what its endpoint was disabled for at that moment

-- Kept by the table itself, so that no way of settling a delivery can forget it. A moment is written once.
CREATE FUNCTION heldtrue.keep_delivery_facts() RETURNS trigger LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NEW.state = 'delivered' THEN
    IF NEW.arrived_at IS NULL THEN
      NEW.arrived_at := NEW.settled_at; NEW.arrived_by := NEW.attempts;
    END IF;
  ELSIF NEW.state = 'held' THEN
    NEW.held_for := coalesce((SELECT e.disabled_for FROM heldtrue.endpoints e
                              WHERE e.tenant_id = NEW.tenant_id AND e.endpoint_id = NEW.endpoint_id),
                             'gone');                    -- still enabled: an answer of 410 is being recorded
  ELSIF NEW.attempts > OLD.attempts THEN                 -- failed, and an attempt was made: it was the last
    NEW.given_up_at := coalesce(NEW.given_up_at, NEW.settled_at);
  ELSE                                                   -- failed without one: somebody ended it
    NEW.withdrawn_at := coalesce(NEW.withdrawn_at, NEW.settled_at);
  END IF;
  RETURN NEW;
END $$;
REVOKE ALL ON FUNCTION heldtrue.keep_delivery_facts() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION heldtrue.keep_delivery_facts() TO heldtrue_tenant;

CREATE TRIGGER keep_facts BEFORE UPDATE ON heldtrue.deliveries FOR EACH ROW
  WHEN (NEW.state <> OLD.state AND NEW.state <> 'pending') EXECUTE FUNCTION heldtrue.keep_delivery_facts();
CREATE TRIGGER keep_first_facts BEFORE INSERT ON heldtrue.deliveries FOR EACH ROW
  WHEN (NEW.state = 'held') EXECUTE FUNCTION heldtrue.keep_delivery_facts();

-- What was settled before this version: the same facts, as far as the rows still tell them. The owner, too, sees rows
-- only where row-level security is not forced; it is again before anybody else can look.
ALTER TABLE heldtrue.deliveries NO FORCE ROW LEVEL SECURITY;
ALTER TABLE heldtrue.attempts NO FORCE ROW LEVEL SECURITY;
ALTER TABLE heldtrue.endpoints NO FORCE ROW LEVEL SECURITY;
UPDATE heldtrue.deliveries d SET
  arrived_at = first.at, arrived_by = first.number,
  given_up_at = CASE WHEN d.state = 'failed' AND first.at IS NULL AND d.tries >= 10 THEN d.settled_at END,
  withdrawn_at = CASE WHEN d.state = 'failed' AND first.at IS NULL AND d.tries < 10 THEN d.settled_at END,
  held_for = CASE WHEN d.state = 'held' THEN e.disabled_for END
FROM heldtrue.deliveries o
JOIN heldtrue.endpoints e ON e.tenant_id = o.tenant_id AND e.endpoint_id = o.endpoint_id
LEFT JOIN LATERAL (
  SELECT a.number, a.started_at + a.latency_ms * interval '1 millisecond' AS at FROM heldtrue.attempts a
  WHERE a.tenant_id = o.tenant_id AND a.delivery_id = o.delivery_id AND a.status BETWEEN 200 AND 299
  ORDER BY a.number LIMIT 1) first ON true
WHERE o.tenant_id = d.tenant_id AND o.delivery_id = d.delivery_id AND (o.state <> 'pending' OR first.at IS NOT NULL);
ALTER TABLE heldtrue.deliveries FORCE ROW LEVEL SECURITY;
ALTER TABLE heldtrue.attempts FORCE ROW LEVEL SECURITY;
ALTER TABLE heldtrue.endpoints FORCE ROW LEVEL SECURITY;
