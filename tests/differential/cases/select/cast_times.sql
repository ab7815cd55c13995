-- Times to texts and back.
-- tables: mixed
-- duckdb: same
SELECT id, CAST(dt AS STRING) AS a, CAST(CAST(dt AS STRING) AS DATE) AS b, CAST(moment AS DATE) AS c,
  CAST(dt AS TIMESTAMP(3)) AS d FROM mixed
