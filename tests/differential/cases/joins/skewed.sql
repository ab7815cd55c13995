-- A join by a skewed key.
-- tables: skewed, auctions
-- duckdb: same
SELECT a.id, COUNT(*) AS n, SUM(s.v) AS v FROM skewed AS s JOIN auctions AS a ON s.k = a.id GROUP BY a.id
