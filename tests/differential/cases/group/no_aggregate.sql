-- GROUP BY without an aggregate.
-- tables: bids
-- duckdb: same
SELECT channel, auction FROM bids WHERE price > 50 GROUP BY channel, auction
