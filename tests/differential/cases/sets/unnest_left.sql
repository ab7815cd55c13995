-- A left join keeps rows with empty and NULL arrays.
-- tables: nested
-- duckdb:
--| SELECT id, n FROM nested LEFT JOIN UNNEST(numbers) AS u (n) ON TRUE
SELECT id, n FROM nested LEFT JOIN UNNEST(numbers) AS u (n) ON TRUE
