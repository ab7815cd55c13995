-- Arrays, maps and rows pass through.
-- tables: nested
-- duckdb: same
SELECT * FROM nested
