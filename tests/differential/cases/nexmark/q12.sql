-- Nexmark q12. Windows of processing time differ from run to run; the sums over all of them do not.
-- tables: bid
-- duckdb setup:
--| SELECT 1
-- duckdb:
--| SELECT bidder, COUNT(*) FROM bid GROUP BY bidder
CREATE VIEW bid_proctime AS SELECT *, PROCTIME() AS p_time FROM bid;
SELECT bidder, SUM(bid_count) AS bid_count FROM (
  SELECT bidder, COUNT(*) AS bid_count, window_start AS starttime, window_end AS endtime
  FROM TABLE(TUMBLE(TABLE bid_proctime, DESCRIPTOR(p_time), INTERVAL '10' SECOND))
  GROUP BY bidder, window_start, window_end)
GROUP BY bidder
