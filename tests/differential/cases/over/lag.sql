-- LAG over unique times.
-- tables: rates
-- duckdb: same
SELECT currency, ts, LAG(rate) OVER (PARTITION BY currency ORDER BY ts) AS before,
  LAG(rate, 3) OVER (PARTITION BY currency ORDER BY ts) AS long_before FROM rates
