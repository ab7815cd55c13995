-- IS DISTINCT FROM takes NULL for a value.
-- tables: mixed
-- duckdb: same
SELECT id, t IS DISTINCT FROM s AS x, t IS NOT DISTINCT FROM CAST(NULL AS TINYINT) AS y FROM mixed
