-- Branches of different types meet in the wider one.
-- tables: mixed
-- duckdb: same
SELECT t AS x FROM mixed UNION ALL SELECT l FROM mixed UNION ALL SELECT i FROM mixed
