-- An aggregate over the last row of each key.
-- tables: people
-- duckdb: same
SELECT city, COUNT(*) AS n, SUM(score) AS s FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY id ORDER BY ts DESC) AS n FROM people WHERE id IS NOT NULL) WHERE n = 1
GROUP BY city
