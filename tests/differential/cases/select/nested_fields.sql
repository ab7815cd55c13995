-- Fields of rows, elements of arrays, values of maps.
-- tables: nested
-- duckdb:
--| SELECT id, place.city, place.zip, numbers[1], tags['a'], len(numbers) FROM nested
SELECT id, place.city AS city, place.zip AS zip, numbers[1] AS first, tags['a'] AS a, CARDINALITY(numbers) AS n
FROM nested
