-- INTERSECT.
-- tables: bids, auctions
-- duckdb: same
SELECT auction FROM bids INTERSECT SELECT id FROM auctions
