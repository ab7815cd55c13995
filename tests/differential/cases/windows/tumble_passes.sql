-- The columns of a window table without an aggregate.
-- tables: bids
-- duckdb:
--| SELECT seq, tumble(ts, 30), tumble(ts, 30) + INTERVAL 30 SECOND,
--|   tumble(ts, 30) + INTERVAL 30 SECOND - INTERVAL 1 MILLISECOND FROM bids
SELECT seq, window_start, window_end, window_time
FROM TABLE(TUMBLE(TABLE bids, DESCRIPTOR(ts), INTERVAL '30' SECOND))
