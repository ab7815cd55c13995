-- A query without a table.
-- tables: 
-- not restored: there is no table to wait for
-- duckdb: same
SELECT 1 AS one, 'a' AS a, CAST(NULL AS INT) AS n, 2 + 3 AS five
