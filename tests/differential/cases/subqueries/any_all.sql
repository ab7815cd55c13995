-- Comparisons with any and all rows of a query.
-- tables: bids, auctions
-- duckdb: same
SELECT seq, price > ANY (SELECT reserve FROM auctions) AS some, price <= ALL (SELECT reserve FROM auctions) AS least,
  price <> ANY (SELECT price FROM bids WHERE seq < 3) AS other, price = ALL (SELECT price FROM bids WHERE seq = 1) AS same
FROM bids WHERE price > ALL (SELECT reserve FROM auctions WHERE category = 1) OR price < ANY (SELECT reserve FROM auctions)
