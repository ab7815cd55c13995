-- Sessions by a key; those that touch are one.
-- tables: bids
-- duckdb:
--| SELECT bidder, MIN(ts), MAX(ts) + INTERVAL 10 SECOND, COUNT(*), SUM(price) FROM (
--|   SELECT *, SUM(fresh) OVER (PARTITION BY bidder ORDER BY ts, seq) AS session FROM (
--|     SELECT *, CASE WHEN ts - LAG(ts) OVER (PARTITION BY bidder ORDER BY ts, seq) <= INTERVAL 10 SECOND THEN 0 ELSE 1 END
--|       AS fresh FROM bids))
--| GROUP BY bidder, session
SELECT bidder, window_start, window_end, COUNT(*) AS n, SUM(price) AS s
FROM TABLE(SESSION(TABLE bids PARTITION BY bidder, DESCRIPTOR(ts), INTERVAL '10' SECOND))
GROUP BY bidder, window_start, window_end
