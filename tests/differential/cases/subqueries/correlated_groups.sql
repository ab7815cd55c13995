-- A subquery for each group: it means the keys of the groups.
-- tables: bids, auctions
-- duckdb: same
SELECT COUNT(*) AS n, auction, (SELECT MAX(reserve) FROM auctions AS a WHERE a.id = b.auction) AS reserve
FROM bids AS b GROUP BY channel, auction HAVING COUNT(*) > (SELECT COUNT(*) FROM auctions AS a WHERE a.id = b.auction)
