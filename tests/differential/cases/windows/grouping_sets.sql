-- GROUPING SETS within windows.
-- tables: bids
-- duckdb:
--| SELECT w, channel, auction, COUNT(*) FROM (SELECT *, tumble(ts, 60) AS w FROM bids)
--| GROUP BY GROUPING SETS ((w, channel), (w, auction), (w))
SELECT window_start, channel, auction, COUNT(*) AS n
FROM TABLE(TUMBLE(TABLE bids, DESCRIPTOR(ts), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end, GROUPING SETS ((channel), (auction), ())
