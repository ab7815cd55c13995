-- IS NULL, IS NOT NULL, IS TRUE, IS NOT FALSE.
-- tables: mixed
-- duckdb:
--| SELECT id, b IS NULL, b IS NOT NULL, b IS TRUE, b IS NOT FALSE, b IS NULL FROM mixed
SELECT id, b IS NULL AS n, b IS NOT NULL AS v, b IS TRUE AS t, b IS NOT FALSE AS f, b IS UNKNOWN AS u FROM mixed
