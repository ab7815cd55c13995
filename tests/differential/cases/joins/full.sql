-- A full join; NULL keys have no partner.
-- tables: people, auctions
-- duckdb: same
SELECT p.id, p.name, a.id AS auction, a.seller FROM people AS p FULL JOIN auctions AS a ON p.id = a.seller
