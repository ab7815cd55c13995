-- Three tables.
-- tables: bids, auctions, people
-- duckdb: same
SELECT b.seq, a.category, p.name FROM bids AS b JOIN auctions AS a ON b.auction = a.id JOIN people AS p ON a.seller = p.id
WHERE b.price > 100
