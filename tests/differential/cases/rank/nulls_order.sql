-- NULLs come first by growing order, last by falling.
-- tables: mixed
-- duckdb:
--| SELECT k, id, i, n FROM (
--|   SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY i ASC NULLS FIRST, id ASC) AS n FROM mixed) WHERE n <= 3
SELECT k, id, i, n FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY i ASC, id ASC) AS n FROM mixed) WHERE n <= 3
