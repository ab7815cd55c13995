-- A map to rows of key and value.
-- tables: nested
-- duckdb:
--| SELECT id, e.key, e.value FROM (SELECT id, unnest(map_entries(tags)) AS e FROM nested)
SELECT id, k, v FROM nested CROSS JOIN UNNEST(tags) AS u (k, v)
