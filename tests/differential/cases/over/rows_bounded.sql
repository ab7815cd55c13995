-- The last three rows of unique times.
-- tables: rates
-- duckdb: same
SELECT currency, ts, SUM(rate) OVER (PARTITION BY currency ORDER BY ts ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) AS s,
  COUNT(*) OVER (PARTITION BY currency ORDER BY ts ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) AS n,
  MAX(rate) OVER (PARTITION BY currency ORDER BY ts ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) AS m FROM rates
