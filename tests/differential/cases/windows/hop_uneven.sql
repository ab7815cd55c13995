-- A slide that does not divide the size.
-- tables: bids
-- duckdb:
--| SELECT w, w + INTERVAL 10 SECOND, COUNT(*) FROM
--| (SELECT unnest(generate_series(tumble(ts, 4) - INTERVAL 8 SECOND, tumble(ts, 4), INTERVAL 4 SECOND)) AS w, ts FROM bids)
--| WHERE ts < w + INTERVAL 10 SECOND GROUP BY w
SELECT window_start, window_end, COUNT(*) AS n
FROM TABLE(HOP(TABLE bids, DESCRIPTOR(ts), INTERVAL '4' SECOND, INTERVAL '10' SECOND))
GROUP BY window_start, window_end
