-- NOT EXISTS; NULL keys have no partner and stay.
-- tables: people, auctions
-- duckdb: same
SELECT id, name FROM people AS p WHERE NOT EXISTS (SELECT 1 FROM auctions AS a WHERE a.seller = p.id)
