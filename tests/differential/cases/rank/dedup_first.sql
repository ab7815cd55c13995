-- The first row of each key by event time.
-- tables: people
-- duckdb: same
SELECT city, name, ts FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY city ORDER BY ts ASC) AS n FROM people) WHERE n = 1
