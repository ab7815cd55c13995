-- SELECT DISTINCT with NULLs.
-- tables: bids
-- duckdb: same
SELECT DISTINCT channel, auction FROM bids
