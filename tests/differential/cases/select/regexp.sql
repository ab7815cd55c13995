-- REGEXP_REPLACE, REGEXP_EXTRACT, SIMILAR TO.
-- tables: people
-- duckdb:
--| SELECT id, regexp_replace(name, '[A-N]+', '#', 'g'), regexp_extract(name, '([A-Za-z]+) ([A-Z])', 2),
--|   regexp_full_match(name, '(Ann|Bo).*') FROM people
SELECT id, REGEXP_REPLACE(name, '[A-N]+', '#') AS r, REGEXP_EXTRACT(name, '([A-Za-z]+) ([A-Z])', 2) AS e,
  name SIMILAR TO '(Ann|Bo)%' AS s FROM people
