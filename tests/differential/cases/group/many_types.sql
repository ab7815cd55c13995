-- MIN and MAX of texts, dates, times, booleans as keys.
-- tables: mixed
-- duckdb: same
SELECT b, MIN(str) AS s, MAX(str) AS t, MIN(dt) AS d, MAX(moment) AS e, MIN(tm) AS f, MAX(f) AS g, COUNT(*) AS n FROM mixed
GROUP BY b
