-- A table with itself.
-- tables: auctions
-- duckdb: same
SELECT a.id, b.category FROM auctions AS a JOIN auctions AS b ON a.id = b.id AND a.category < b.category
