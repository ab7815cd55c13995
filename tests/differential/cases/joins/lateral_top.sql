-- The first rows of each group by LATERAL.
-- tables: auctions, bids
-- duckdb: same
SELECT a.id, b.seq, b.price FROM auctions AS a LEFT JOIN LATERAL (
  SELECT seq, price FROM bids WHERE bids.auction = a.id ORDER BY price DESC NULLS LAST, seq LIMIT 2 OFFSET 1) AS b ON TRUE
