-- Groups of no rows are no rows.
-- tables: nothing
-- not restored: an input without rows holds no state
-- duckdb: same
SELECT id, COUNT(*) AS n FROM nothing GROUP BY id
