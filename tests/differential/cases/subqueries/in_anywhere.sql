-- IN and NOT IN as values, NULLs on either side.
-- tables: people, auctions
-- duckdb: same
SELECT id, CASE WHEN id IN (SELECT seller FROM auctions WHERE category = 3) THEN 'sells' ELSE 'does not' END AS sells,
  name NOT IN (SELECT city FROM people) AS odd, city IN (SELECT name FROM people WHERE id < 0) AS nowhere,
  city IN (SELECT city FROM people WHERE city IS NOT NULL) AS known
FROM people WHERE id IN (SELECT seller FROM auctions) OR city IN (SELECT city FROM people WHERE score > 50)
