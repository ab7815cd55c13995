-- INTERSECT ALL counts.
-- tables: bids, auctions
-- duckdb: same
SELECT auction FROM bids INTERSECT ALL SELECT id FROM auctions
