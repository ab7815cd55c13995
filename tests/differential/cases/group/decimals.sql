-- Sums of decimals are exact.
-- tables: mixed
-- duckdb: same
SELECT k, SUM(m) AS s, MIN(m) AS lo, MAX(m) AS hi FROM mixed GROUP BY k
