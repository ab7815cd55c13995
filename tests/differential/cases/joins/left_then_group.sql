-- An aggregate over a left join, whose rows without partner are retracted.
-- tables: people, auctions
-- duckdb: same
SELECT p.city, COUNT(*) AS n, COUNT(a.id) AS c, SUM(a.reserve) AS s FROM people AS p LEFT JOIN auctions AS a
ON p.id = a.seller GROUP BY p.city
