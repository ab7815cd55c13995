-- FETCH FIRST.
-- tables: auctions
-- duckdb: same
SELECT id, ts FROM auctions ORDER BY ts FETCH FIRST 9 ROWS ONLY
