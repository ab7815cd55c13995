-- No row is late when all is there.
-- tables: late_bids
-- settings: execution.runtime-mode = batch
-- not restored: batch jobs take no checkpoints
-- duckdb:
--| SELECT auction, tumble(ts, 10), COUNT(*) FROM late_bids GROUP BY ALL
SELECT auction, window_start, COUNT(*) AS n FROM TABLE(TUMBLE(TABLE late_bids, DESCRIPTOR(ts), INTERVAL '10' SECOND))
GROUP BY auction, window_start, window_end
