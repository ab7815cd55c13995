-- ROUND and TRUNCATE of decimals.
-- tables: mixed
-- duckdb: same
SELECT id, ROUND(m, 1) AS r, ROUND(m) AS i, FLOOR(m) AS f, CEIL(m) AS c FROM mixed
