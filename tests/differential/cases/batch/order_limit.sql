-- ORDER BY any column with LIMIT and OFFSET.
-- tables: bids
-- settings: execution.runtime-mode = batch
-- not restored: batch jobs take no checkpoints
-- duckdb: same
SELECT seq, price FROM bids WHERE price IS NOT NULL ORDER BY price DESC, seq LIMIT 20 OFFSET 5
