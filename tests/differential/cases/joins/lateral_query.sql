-- LATERAL queries that mean columns of what stands before them, one of the other, and of a left join.
-- tables: auctions, bids, people
-- duckdb: same
SELECT a.id, b.seq, b.dear, p.name FROM auctions AS a
CROSS JOIN LATERAL (SELECT seq, price > a2.reserve AS dear FROM bids, (SELECT reserve FROM auctions WHERE id = 1) AS a2
  WHERE auction = a.id AND price > a.reserve) AS b
LEFT JOIN LATERAL (SELECT name FROM people WHERE people.id = a.seller) AS p ON TRUE
