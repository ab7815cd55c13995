-- Sessions of a whole table, after a filter that leaves gaps.
-- tables: bids
-- duckdb:
--| SELECT MIN(ts), MAX(ts) + INTERVAL 4 SECOND, COUNT(*) FROM (
--|   SELECT *, SUM(fresh) OVER (ORDER BY ts, seq) AS session FROM (
--|     SELECT *, CASE WHEN ts - LAG(ts) OVER (ORDER BY ts, seq) <= INTERVAL 4 SECOND THEN 0 ELSE 1 END AS fresh
--|     FROM bids WHERE price > 2000))
--| GROUP BY session
SELECT window_start, window_end, COUNT(*) AS n
FROM TABLE(SESSION(TABLE (SELECT * FROM bids WHERE price > 2000), DESCRIPTOR(ts), INTERVAL '4' SECOND))
GROUP BY window_start, window_end
