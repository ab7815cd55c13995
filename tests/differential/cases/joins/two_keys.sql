-- A join by two keys.
-- tables: people
-- duckdb: same
SELECT a.name, b.score FROM people AS a JOIN people AS b ON a.id = b.id AND a.city = b.city
