-- Late rows in sessions.
-- tables: late_bids
-- duckdb:
--| SELECT auction, MIN(ts), MAX(ts) + INTERVAL 3 SECOND, COUNT(*) FROM (
--|   SELECT *, SUM(fresh) OVER (PARTITION BY auction ORDER BY ts, seq) AS session FROM (
--|     SELECT *, CASE WHEN ts - LAG(ts) OVER (PARTITION BY auction ORDER BY ts, seq) <= INTERVAL 3 SECOND THEN 0 ELSE 1 END
--|       AS fresh FROM late_bids WHERE NOT (seq > 200 AND seq % 7 = 0)))
--| GROUP BY auction, session
SELECT auction, window_start, window_end, COUNT(*) AS n
FROM TABLE(SESSION(TABLE late_bids PARTITION BY auction, DESCRIPTOR(ts), INTERVAL '3' SECOND))
GROUP BY auction, window_start, window_end
