-- Semi joins and scalar subqueries.
-- tables: bids, auctions
-- settings: execution.runtime-mode = batch
-- not restored: batch jobs take no checkpoints
-- duckdb: same
SELECT seq FROM bids WHERE auction IN (SELECT id FROM auctions) AND price > (SELECT MIN(price) FROM bids)
