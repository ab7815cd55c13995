-- The best of each window and channel, without the number.
-- tables: bids
-- duckdb:
--| SELECT w, channel, seq FROM (
--|   SELECT *, ROW_NUMBER() OVER (PARTITION BY w, channel ORDER BY price DESC, seq DESC) AS n
--|   FROM (SELECT *, tumble(ts, 30) AS w FROM bids) WHERE price IS NOT NULL) WHERE n = 1
SELECT window_start, channel, seq FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, window_end, channel ORDER BY price DESC, seq DESC) AS n
  FROM TABLE(TUMBLE(TABLE bids, DESCRIPTOR(ts), INTERVAL '30' SECOND)) WHERE price IS NOT NULL) WHERE n = 1
