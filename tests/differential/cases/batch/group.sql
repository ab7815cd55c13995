-- Final results of a group aggregate.
-- tables: bids
-- settings: execution.runtime-mode = batch
-- not restored: batch jobs take no checkpoints
-- duckdb: same
SELECT auction, COUNT(*) AS n, SUM(price) AS s FROM bids GROUP BY auction
