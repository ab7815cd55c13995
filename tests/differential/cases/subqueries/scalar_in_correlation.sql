-- The condition that correlates a subquery has a subquery of its own.
-- tables: bids, auctions
-- duckdb: same
SELECT seq FROM bids AS b WHERE EXISTS (
  SELECT 1 FROM auctions AS a WHERE a.id = b.auction + (SELECT MIN(category) FROM auctions) LIMIT 1)
