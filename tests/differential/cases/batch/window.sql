-- A window aggregate.
-- tables: bids
-- settings: execution.runtime-mode = batch
-- not restored: batch jobs take no checkpoints
-- duckdb:
--| SELECT tumble(ts, 10), COUNT(*) FROM bids GROUP BY 1
SELECT window_start, COUNT(*) AS n FROM TABLE(TUMBLE(TABLE bids, DESCRIPTOR(ts), INTERVAL '10' SECOND))
GROUP BY window_start, window_end
