-- CASE in both forms, with and without ELSE, over NULLs.
-- tables: bids
-- duckdb: same
SELECT seq, CASE WHEN price > 1000 THEN 'high' WHEN price > 50 THEN 'middle' END AS level,
  CASE channel WHEN 'web' THEN 1 WHEN 'app' THEN 2 ELSE 0 END AS code FROM bids
