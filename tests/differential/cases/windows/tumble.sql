-- Counts and sums in tumbling windows.
-- tables: bids
-- duckdb:
--| SELECT tumble(ts, 10), tumble(ts, 10) + INTERVAL 10 SECOND, COUNT(*), SUM(price) FROM bids GROUP BY ALL
SELECT window_start, window_end, COUNT(*) AS n, SUM(price) AS s
FROM TABLE(TUMBLE(TABLE bids, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY window_start, window_end
