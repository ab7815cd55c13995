-- A filter before the window and one on its columns after.
-- tables: bids
-- duckdb:
--| SELECT tumble(ts, 10) + INTERVAL 10 SECOND, SUM(price) FROM bids WHERE channel = 'web' AND price > 20 GROUP BY 1
SELECT window_end, SUM(price) AS s FROM TABLE(TUMBLE(TABLE bids, DESCRIPTOR(ts), INTERVAL '10' SECOND))
WHERE channel = 'web' AND price > 20 GROUP BY window_start, window_end
