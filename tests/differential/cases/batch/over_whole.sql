-- OVER without an order is over the whole partition.
-- tables: bids
-- settings: execution.runtime-mode = batch
-- not restored: batch jobs take no checkpoints
-- duckdb: same
SELECT seq, SUM(price) OVER (PARTITION BY channel) AS s, COUNT(*) OVER () AS n FROM bids
