-- A right join.
-- tables: people, auctions
-- duckdb: same
SELECT p.name, a.id, a.seller FROM people AS p RIGHT JOIN auctions AS a ON p.id = a.seller
