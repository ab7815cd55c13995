-- A full join over whole inputs.
-- tables: people, auctions
-- settings: execution.runtime-mode = batch
-- not restored: batch jobs take no checkpoints
-- duckdb: same
SELECT p.id, a.id AS auction FROM people AS p FULL JOIN auctions AS a ON p.id = a.seller
