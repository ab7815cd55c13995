-- An aggregate over a join.
-- tables: bids, auctions
-- duckdb: same
SELECT a.category, COUNT(*) AS n, SUM(b.price) AS s FROM bids AS b JOIN auctions AS a ON b.auction = a.id GROUP BY a.category
