-- Arithmetic of integers; division and remainder are toward zero.
-- tables: mixed
-- duckdb:
--| SELECT id, i // 7, i % 7, i % 5, -i, ABS(i), CAST(s AS INT) * 3, k - l FROM mixed
SELECT id, i / 7 AS q, MOD(i, 7) AS r, i % 5 AS p, -i AS n, ABS(i) AS a, s * 3 AS m, k - l AS d FROM mixed
