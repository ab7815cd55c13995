-- Nine in ten rows have one key.
-- tables: skewed
-- duckdb: same
SELECT k, COUNT(*) AS n, SUM(v) AS s, COUNT(DISTINCT v) AS d FROM skewed GROUP BY k
