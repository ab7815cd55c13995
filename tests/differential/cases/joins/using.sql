-- USING.
-- tables: people
-- duckdb: same
SELECT id, a.name, b.city FROM people AS a JOIN (SELECT id, city FROM people WHERE score > 100) AS b USING (id)
