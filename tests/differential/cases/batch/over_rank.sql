-- RANK, DENSE_RANK, NTILE over whole partitions.
-- tables: bids
-- settings: execution.runtime-mode = batch
-- not restored: batch jobs take no checkpoints
-- duckdb: same
SELECT seq, RANK() OVER (PARTITION BY channel ORDER BY price) AS r, DENSE_RANK() OVER (PARTITION BY channel ORDER BY price)
  AS d, PERCENT_RANK() OVER (PARTITION BY channel ORDER BY price) AS p FROM bids WHERE price IS NOT NULL
