-- OVER by several columns, falling.
-- tables: bids
-- settings: execution.runtime-mode = batch
-- not restored: batch jobs take no checkpoints
-- duckdb: same
SELECT seq, ROW_NUMBER() OVER (PARTITION BY channel ORDER BY price DESC, seq) AS r,
  MAX(bidder) OVER (PARTITION BY channel ORDER BY price DESC, seq ROWS BETWEEN 3 PRECEDING AND CURRENT ROW) AS m FROM bids
WHERE price IS NOT NULL
