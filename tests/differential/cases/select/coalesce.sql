-- COALESCE, NULLIF, IFNULL, IF, GREATEST, LEAST.
-- tables: mixed
-- duckdb:
--| SELECT id, COALESCE(i, s, -1), NULLIF(k, 3), COALESCE(l, 0), CASE WHEN k > 4 THEN 'big' ELSE 'small' END,
--|   GREATEST(k, 3, 5), LEAST(k, 3, 5) FROM mixed
SELECT id, COALESCE(i, s, -1) AS c, NULLIF(k, 3) AS n, IFNULL(l, 0) AS f, IF(k > 4, 'big', 'small') AS g,
  GREATEST(k, 3, 5) AS gr, LEAST(k, 3, 5) AS le FROM mixed
