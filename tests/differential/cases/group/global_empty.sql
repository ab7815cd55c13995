-- A stream without rows has no row of a global aggregate: there is no change that it could follow.
-- tables: nothing
-- not restored: an input without rows holds no state
-- duckdb:
--| SELECT 0, 0, '' WHERE 1 = 0
SELECT COUNT(*) AS n, SUM(id) AS s, MAX(name) AS m FROM nothing
