-- Without a frame it is a range from the beginning.
-- tables: people
-- duckdb: same
SELECT id, COUNT(*) OVER (PARTITION BY city ORDER BY ts) AS n, SUM(score) OVER (PARTITION BY city ORDER BY ts) AS s
FROM people
