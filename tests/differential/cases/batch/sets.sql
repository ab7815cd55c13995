-- Set operations.
-- tables: bids, auctions
-- settings: execution.runtime-mode = batch
-- not restored: batch jobs take no checkpoints
-- duckdb: same
SELECT auction FROM bids EXCEPT SELECT id FROM auctions WHERE category > 2
