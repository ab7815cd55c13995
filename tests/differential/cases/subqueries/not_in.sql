-- NOT IN over a subquery without NULLs.
-- tables: bids, auctions
-- duckdb: same
SELECT seq, auction FROM bids WHERE auction NOT IN (SELECT id FROM auctions WHERE category = 1)
