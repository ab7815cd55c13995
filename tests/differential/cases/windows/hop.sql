-- Sliding windows.
-- tables: bids
-- duckdb:
--| SELECT w, w + INTERVAL 20 SECOND, COUNT(*), MAX(price) FROM (SELECT unnest(hops(ts, 5, 20)) AS w, price FROM bids)
--| GROUP BY w
SELECT window_start, window_end, COUNT(*) AS n, MAX(price) AS m
FROM TABLE(HOP(TABLE bids, DESCRIPTOR(ts), INTERVAL '5' SECOND, INTERVAL '20' SECOND))
GROUP BY window_start, window_end
