-- LPAD, RPAD, REPEAT, CONCAT_WS.
-- tables: people
-- duckdb: same
SELECT id, LPAD(name, 8, '*') AS l, RPAD(name, 8, '*') AS r, REPEAT(name, 2) AS t, CONCAT_WS('/', name, city) AS c
FROM people
