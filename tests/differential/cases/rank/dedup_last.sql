-- The last row of each key by event time.
-- tables: people
-- duckdb: same
SELECT id, name, score, ts FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY id ORDER BY ts DESC) AS n FROM people WHERE id IS NOT NULL) WHERE n = 1
