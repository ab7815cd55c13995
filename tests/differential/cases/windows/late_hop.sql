-- Late rows in sliding windows.
-- tables: late_bids
-- duckdb:
--| SELECT w, COUNT(*) FROM (SELECT unnest(hops(ts, 5, 15)) AS w FROM late_bids WHERE NOT (seq > 200 AND seq % 7 = 0))
--| GROUP BY w
SELECT window_start, COUNT(*) AS n
FROM TABLE(HOP(TABLE late_bids, DESCRIPTOR(ts), INTERVAL '5' SECOND, INTERVAL '15' SECOND))
GROUP BY window_start, window_end
