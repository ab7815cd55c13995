-- Sums and products of decimals are exact.
-- tables: mixed
-- duckdb: same
SELECT id, m + 1.25 AS a, m - m AS z, m * 2 AS p, m + k AS s, -m AS n, ABS(m) AS b FROM mixed
