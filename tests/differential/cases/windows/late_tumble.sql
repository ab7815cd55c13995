-- Rows that come after their window has ended are dropped.
-- tables: late_bids
-- duckdb:
--| SELECT auction, tumble(ts, 10), COUNT(*), SUM(price) FROM late_bids WHERE NOT (seq > 200 AND seq % 7 = 0) GROUP BY ALL
SELECT auction, window_start, COUNT(*) AS n, SUM(price) AS s
FROM TABLE(TUMBLE(TABLE late_bids, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY auction, window_start, window_end
