-- The three dearest bids of each window.
-- tables: bids
-- duckdb:
--| SELECT w, seq, price, n FROM (
--|   SELECT *, ROW_NUMBER() OVER (PARTITION BY w ORDER BY price DESC, seq) AS n
--|   FROM (SELECT *, tumble(ts, 10) AS w FROM bids) WHERE price IS NOT NULL) WHERE n <= 3
SELECT window_start, seq, price, n FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, window_end ORDER BY price DESC, seq) AS n
  FROM TABLE(TUMBLE(TABLE bids, DESCRIPTOR(ts), INTERVAL '10' SECOND)) WHERE price IS NOT NULL) WHERE n <= 3
