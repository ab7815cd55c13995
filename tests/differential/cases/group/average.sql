-- AVG of doubles and of integers, which stays an integer.
-- tables: mixed
-- duckdb:
--| SELECT k, AVG(d), AVG(i), CAST(TRUNC(AVG(s)) AS INT) FROM mixed GROUP BY k
SELECT k, AVG(d) AS a, AVG(CAST(i AS DOUBLE)) AS b, AVG(s) AS c FROM mixed GROUP BY k
