-- HAVING on a window aggregate.
-- tables: bids
-- duckdb:
--| SELECT auction, tumble(ts, 15), COUNT(*) FROM bids GROUP BY ALL HAVING COUNT(*) > 3
SELECT auction, window_start, COUNT(*) AS n FROM TABLE(TUMBLE(TABLE bids, DESCRIPTOR(ts), INTERVAL '15' SECOND))
GROUP BY auction, window_start, window_end HAVING COUNT(*) > 3
