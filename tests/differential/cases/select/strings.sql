-- Functions of texts.
-- tables: mixed
-- duckdb:
--| SELECT id, UPPER(str), LOWER(str), LENGTH(str), TRIM(str), REVERSE(str), SUBSTRING(str, 2, 3), REPLACE(str, 'a', 'zz'),
--|   str || '-' || str, LEFT(str, 2) FROM mixed
SELECT id, UPPER(str) AS u, LOWER(str) AS l, CHAR_LENGTH(str) AS n, TRIM(str) AS t, REVERSE(str) AS r,
  SUBSTRING(str, 2, 3) AS s, REPLACE(str, 'a', 'zz') AS p, CONCAT(str, '-', str) AS c, LEFT(str, 2) AS lf FROM mixed
