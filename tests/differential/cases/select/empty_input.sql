-- A projection of an empty table.
-- tables: nothing
-- duckdb: same
SELECT id + 1 AS more, name FROM nothing WHERE id > 0
