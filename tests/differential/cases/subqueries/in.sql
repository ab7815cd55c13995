-- IN over a subquery.
-- tables: bids, auctions
-- duckdb: same
SELECT seq, auction FROM bids WHERE auction IN (SELECT id FROM auctions WHERE category = 1)
