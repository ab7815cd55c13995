-- OVER with an order that is no time.
-- tables: bids
-- settings: execution.runtime-mode = batch
-- not restored: batch jobs take no checkpoints
-- duckdb: same
SELECT seq, SUM(price) OVER (PARTITION BY auction ORDER BY seq ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS s,
  LAG(price) OVER (PARTITION BY auction ORDER BY seq) AS before FROM bids
