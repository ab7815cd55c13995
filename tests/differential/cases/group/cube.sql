-- CUBE.
-- tables: mixed
-- duckdb: same
SELECT b, k, COUNT(*) AS n, MAX(i) AS m FROM mixed GROUP BY CUBE (b, k)
