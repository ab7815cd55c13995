-- Joins with an empty table.
-- tables: people, nothing
-- duckdb: same
SELECT p.id, p.name, n.name AS other FROM people AS p LEFT JOIN nothing AS n ON p.id = n.id
