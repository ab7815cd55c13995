-- UNION ALL keeps all.
-- tables: bids, auctions
-- duckdb: same
SELECT auction AS id, ts FROM bids UNION ALL SELECT id, expires FROM auctions
