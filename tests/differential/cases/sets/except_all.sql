-- EXCEPT ALL counts.
-- tables: bids, auctions
-- duckdb: same
SELECT auction FROM bids EXCEPT ALL SELECT id FROM auctions
