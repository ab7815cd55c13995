-- Subqueries in ON.
-- tables: bids, auctions
-- duckdb: same
SELECT b.seq, a.id FROM bids AS b JOIN auctions AS a
ON b.auction = a.id AND b.price > (SELECT MIN(price) + 10 FROM bids) AND a.seller IN (SELECT seller FROM auctions WHERE category = 2)
