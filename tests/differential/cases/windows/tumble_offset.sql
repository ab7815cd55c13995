-- Windows that begin at an offset.
-- tables: bids
-- duckdb:
--| SELECT w, w + INTERVAL 10 SECOND, COUNT(*) FROM
--| (SELECT tumble(ts - INTERVAL 3 SECOND, 10) + INTERVAL 3 SECOND AS w FROM bids) GROUP BY w
SELECT window_start, window_end, COUNT(*) AS n
FROM TABLE(TUMBLE(TABLE bids, DESCRIPTOR(ts), INTERVAL '10' SECOND, INTERVAL '3' SECOND))
GROUP BY window_start, window_end
