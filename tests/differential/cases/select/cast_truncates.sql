-- CAST of a fraction to an integer cuts it off.
-- tables: mixed
-- duckdb:
--| SELECT id, CAST(TRUNC(d) AS INT), CAST(TRUNC(m) AS BIGINT) FROM mixed
SELECT id, CAST(d AS INT) AS a, CAST(m AS BIGINT) AS b FROM mixed
