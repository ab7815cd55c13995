-- TRY_CAST of texts that are no numbers gives NULL.
-- tables: mixed
-- duckdb: same
SELECT id, TRY_CAST(str AS INT) AS i, TRY_CAST(str AS DOUBLE) AS d FROM mixed WHERE str <> '-3.5'
