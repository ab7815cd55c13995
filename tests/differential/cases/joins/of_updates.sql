-- A join of aggregates that change.
-- tables: bids, auctions
-- duckdb: same
SELECT x.auction, x.n, y.m FROM (SELECT auction, COUNT(*) AS n FROM bids GROUP BY auction) AS x
JOIN (SELECT id, MAX(reserve) AS m FROM auctions GROUP BY id) AS y ON x.auction = y.id
