-- EXISTS as a value, correlated or not.
-- tables: people, auctions
-- duckdb: same
SELECT id, EXISTS (SELECT 1 FROM auctions WHERE category > 100) AS never,
  NOT EXISTS (SELECT 1 FROM auctions AS a WHERE a.seller = p.id AND a.category > 2) AS quiet
FROM people AS p WHERE EXISTS (SELECT 1 FROM auctions AS a WHERE a.seller = p.id) OR score > 50
