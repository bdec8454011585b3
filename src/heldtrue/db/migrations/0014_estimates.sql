-- What the planner assumes of organisations: each owns a tenth of its table, in one environment.
-- Runs as the owner role inside one transaction.
--
-- Row-level security adds `tenant_id = <this transaction's> AND environment = <its>` to every statement, values that the
-- planner does not know. By the mean over all organisations it takes whatever belongs to one for a handful of rows, and
-- reads them all for a batch of sixty-four; of the largest organisation that is most of the table. An assumed tenth of
-- the table makes it look rows up by their keys. ANALYZE takes the assumption over; autovacuum does the same later.

DO $$
DECLARE
  one record;
BEGIN
  FOR one IN
    SELECT c.oid::regclass AS name, a.attname, CASE a.attname WHEN 'tenant_id' THEN 10 ELSE 1 END AS assumed
    FROM pg_class c
      JOIN pg_namespace n ON n.oid = c.relnamespace
      JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname IN ('tenant_id', 'environment') AND NOT a.attisdropped
    WHERE n.nspname IN ('heldtrue', 'keystore') AND c.relkind = 'r'
      AND EXISTS (SELECT FROM pg_attribute t WHERE t.attrelid = c.oid AND t.attname = 'tenant_id' AND NOT t.attisdropped)
    ORDER BY c.oid, a.attnum
  LOOP
    EXECUTE format('ALTER TABLE %s ALTER COLUMN %I SET (n_distinct = %s)', one.name, one.attname, one.assumed);
    IF one.attname = 'tenant_id' AND EXISTS (SELECT FROM pg_class WHERE oid = one.name AND relpages > 0) THEN
      EXECUTE format('ANALYZE %s', one.name);
    END IF;
  END LOOP;
END $$;
