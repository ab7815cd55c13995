-- A correlated COUNT is 0, not NULL, where no row correlates; so is what is computed of it.
-- tables: people, auctions
-- duckdb: same
SELECT id, (SELECT COUNT(*) FROM auctions AS a WHERE a.seller = p.id) AS n,
  (SELECT COALESCE(MAX(reserve), -1) FROM auctions AS a WHERE a.seller = p.id AND a.category > 2) AS most
FROM people AS p WHERE (SELECT COUNT(*) + 1 FROM auctions AS a WHERE a.seller = p.id) < 4
