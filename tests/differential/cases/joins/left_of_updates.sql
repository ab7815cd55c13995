-- A left join whose right side is retracted.
-- tables: people, auctions
-- duckdb: same
SELECT p.id, p.name, y.n FROM people AS p
LEFT JOIN (SELECT seller, COUNT(*) AS n FROM auctions GROUP BY seller HAVING COUNT(*) < 3) AS y ON p.id = y.seller
