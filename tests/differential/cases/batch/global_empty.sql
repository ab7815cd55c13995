-- Without rows COUNT is 0 and the others are NULL.
-- tables: nothing
-- settings: execution.runtime-mode = batch
-- not restored: batch jobs take no checkpoints
-- duckdb: same
SELECT COUNT(*) AS n, SUM(id) AS s, MAX(name) AS m FROM nothing
