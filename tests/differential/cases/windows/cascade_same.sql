-- A second aggregate over the same window.
-- tables: bids
-- duckdb:
--| SELECT w, w + INTERVAL 10 SECOND, MAX(n), COUNT(*) FROM
--| (SELECT auction, tumble(ts, 10) AS w, COUNT(*) AS n FROM bids GROUP BY ALL) GROUP BY w
SELECT window_start, window_end, MAX(n) AS most, COUNT(*) AS auctions FROM (
  SELECT auction, window_start, window_end, COUNT(*) AS n
  FROM TABLE(TUMBLE(TABLE bids, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY auction, window_start, window_end)
GROUP BY window_start, window_end
