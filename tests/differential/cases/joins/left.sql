-- A left join.
-- tables: people, auctions
-- duckdb: same
SELECT p.id, p.name, a.id AS auction, a.reserve FROM people AS p LEFT JOIN auctions AS a ON p.id = a.seller
