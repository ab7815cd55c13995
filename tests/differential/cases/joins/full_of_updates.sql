-- A full join of changing rows.
-- tables: bids, auctions
-- duckdb: same
SELECT x.auction, y.id, x.n, y.m FROM (SELECT auction, COUNT(*) AS n FROM bids WHERE price > 900 GROUP BY auction) AS x
FULL JOIN (SELECT id, COUNT(*) AS m FROM auctions WHERE category > 3 GROUP BY id) AS y ON x.auction = y.id
