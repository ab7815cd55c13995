-- A top-n.
-- tables: bids
-- settings: execution.runtime-mode = batch
-- not restored: batch jobs take no checkpoints
-- duckdb: same
SELECT auction, seq FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY auction ORDER BY price DESC, seq) AS n FROM bids
WHERE price IS NOT NULL) WHERE n <= 2
