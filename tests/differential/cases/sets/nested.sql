-- Set operations in one another.
-- tables: bids, auctions, people
-- duckdb: same
(SELECT auction FROM bids UNION SELECT id FROM auctions) EXCEPT SELECT id FROM people
