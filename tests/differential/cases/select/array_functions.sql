-- ARRAY_CONTAINS, ARRAY_DISTINCT, ARRAY_MAX and others.
-- tables: nested
-- duckdb:
--| SELECT id, list_contains(numbers, 3), list_reverse(numbers), list_max(numbers) FROM nested
SELECT id, ARRAY_CONTAINS(numbers, 3) AS c, ARRAY_REVERSE(numbers) AS r, ARRAY_MAX(numbers) AS m FROM nested
