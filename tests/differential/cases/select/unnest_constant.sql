-- UNNEST of constants, and a subquery beside them, without a table.
-- tables: 
-- not restored: there is no table to wait for
-- duckdb:
--| SELECT x, i, 7 FROM (VALUES (5, 1), (6, 2)) AS v(x, i) WHERE x < 7
SELECT x, i, (SELECT MAX(y) FROM (VALUES (7), (3)) AS w(y)) AS most
FROM UNNEST(ARRAY[5, 6, 7]) WITH ORDINALITY AS v(x, i) WHERE x < 7
