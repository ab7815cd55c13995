-- CAST between numbers, of which all fit.
-- tables: mixed
-- duckdb:
--| SELECT id, CAST(i AS BIGINT) AS a, CAST(t AS DOUBLE) AS b, CAST(s AS DECIMAL(8, 2)) AS c, CAST(k AS STRING) AS d,
--|   UPPER(CAST(b AS STRING)) AS e, CAST(m AS DOUBLE) AS f, CAST(f AS DOUBLE) AS g FROM mixed
SELECT id, CAST(i AS BIGINT) AS a, CAST(t AS DOUBLE) AS b, CAST(s AS DECIMAL(8, 2)) AS c, CAST(k AS STRING) AS d,
  CAST(b AS STRING) AS e, CAST(m AS DOUBLE) AS f, CAST(f AS DOUBLE) AS g FROM mixed
