-- LIKE, NOT LIKE, with wildcards in the text and an escape.
-- tables: mixed
-- duckdb: same
SELECT id, str LIKE 'a%' AS a, str NOT LIKE '%b%' AS b, str LIKE '_b_' AS c, str LIKE '%!%%' ESCAPE '!' AS d,
  POSITION('b' IN str) AS p FROM mixed
