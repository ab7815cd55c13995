-- IN and NOT EXISTS over nothing.
-- tables: people, nothing
-- duckdb: same
SELECT id, name FROM people AS p WHERE id IN (SELECT id FROM nothing)
