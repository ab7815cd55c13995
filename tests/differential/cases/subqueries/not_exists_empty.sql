-- NOT EXISTS over an empty table keeps all.
-- tables: people, nothing
-- duckdb: same
SELECT id, name FROM people AS p WHERE NOT EXISTS (SELECT 1 FROM nothing AS n WHERE n.id = p.id)
