-- The most busy auctions of each window.
-- tables: bids
-- duckdb:
--| SELECT auction, w, w + INTERVAL 20 SECOND, n, place FROM (
--|   SELECT *, ROW_NUMBER() OVER (PARTITION BY w ORDER BY n DESC, auction) AS place FROM (
--|     SELECT auction, tumble(ts, 20) AS w, COUNT(*) AS n FROM bids WHERE auction IS NOT NULL GROUP BY ALL)) WHERE place <= 2
SELECT * FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, window_end ORDER BY n DESC, auction) AS place FROM (
    SELECT auction, window_start, window_end, COUNT(*) AS n
    FROM TABLE(TUMBLE(TABLE bids, DESCRIPTOR(ts), INTERVAL '20' SECOND)) WHERE auction IS NOT NULL
    GROUP BY auction, window_start, window_end)) WHERE place <= 2
