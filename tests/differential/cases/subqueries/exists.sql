-- EXISTS with a correlation.
-- tables: people, auctions
-- duckdb: same
SELECT id, name FROM people AS p WHERE EXISTS (SELECT 1 FROM auctions AS a WHERE a.seller = p.id AND a.category = 3)
