-- A table whose rows stand in its DDL.
-- tables: 
-- not restored: there is no table to wait for
-- duckdb setup:
--| SELECT 1
-- duckdb:
--| SELECT a, b, SUM(c), COUNT(*) FROM (VALUES (1, 'x', 1.50), (2, NULL, NULL), (1, 'x', 1.50)) AS t (a, b, c) GROUP BY a, b
CREATE TABLE little (a INT, b STRING, c DECIMAL(5, 2)) WITH ('connector' = 'values', 'data' = '[[1, "x", "1.50"], [2, null, null], [1, "x", "1.50"]]');
SELECT a, b, SUM(c) AS s, COUNT(*) AS n FROM little GROUP BY a, b
