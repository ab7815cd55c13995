-- An array to rows.
-- tables: nested
-- duckdb:
--| SELECT id, n FROM nested, UNNEST(numbers) AS u (n)
SELECT id, n FROM nested CROSS JOIN UNNEST(numbers) AS u (n)
