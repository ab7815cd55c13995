-- Subqueries in the arguments, the filter and the keys of aggregates.
-- tables: bids, auctions
-- duckdb: same
SELECT auction > (SELECT MIN(id) + 5 FROM auctions) AS late, SUM(price + (SELECT COUNT(*) FROM auctions)) AS s,
  COUNT(*) FILTER (WHERE bidder > (SELECT MIN(seller) FROM auctions)) AS n
FROM bids GROUP BY auction > (SELECT MIN(id) + 5 FROM auctions)
