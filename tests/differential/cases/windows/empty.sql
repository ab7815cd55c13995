-- Windows over an empty table.
-- tables: nothing
-- not restored: an input without rows holds no state
-- duckdb:
--| SELECT ts, 0 FROM nothing
SELECT window_start, COUNT(*) AS n FROM TABLE(TUMBLE(TABLE nothing, DESCRIPTOR(ts), INTERVAL '1' SECOND))
GROUP BY window_start, window_end
