-- VALUES as a table.
-- tables: 
-- not restored: there is no table to wait for
-- duckdb:
--| SELECT a + 1, b FROM (VALUES (1, 'x'), (2, NULL), (3, 'z')) AS t (a, b)
SELECT a + 1 AS a, b FROM (VALUES (1, 'x'), (2, CAST(NULL AS STRING)), (3, 'z')) AS t (a, b)
