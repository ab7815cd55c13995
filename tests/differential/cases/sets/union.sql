-- UNION removes equal rows, also NULLs.
-- tables: bids, auctions
-- duckdb: same
SELECT auction FROM bids UNION SELECT id FROM auctions
