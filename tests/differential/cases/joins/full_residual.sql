-- A full join with a condition beside the key.
-- tables: people, auctions
-- duckdb: same
SELECT p.id, a.id AS auction FROM people AS p FULL OUTER JOIN auctions AS a ON p.id = a.seller AND a.category < 3
