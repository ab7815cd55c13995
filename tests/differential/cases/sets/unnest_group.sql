-- An aggregate over elements.
-- tables: nested
-- duckdb:
--| SELECT n, COUNT(*) FROM nested, UNNEST(numbers) AS u (n) GROUP BY n
SELECT n, COUNT(*) AS c FROM nested CROSS JOIN UNNEST(numbers) AS u (n) GROUP BY n
