-- Windows that only count: nobody reads a column of them.
-- tables: bids
-- duckdb:
--| SELECT COUNT(*) FROM (SELECT tumble(ts, 10) AS w FROM bids GROUP BY w)
SELECT SUM(one) AS n FROM (SELECT 1 AS one FROM (
  SELECT COUNT(*) FROM TABLE(TUMBLE(TABLE bids, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY window_start, window_end))
