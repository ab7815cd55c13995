-- A left join whose condition beside the key decides whether there is a partner.
-- tables: people, auctions
-- duckdb: same
SELECT p.id, p.name, a.id AS auction FROM people AS p LEFT JOIN auctions AS a ON p.id = a.seller AND a.reserve > 5000
