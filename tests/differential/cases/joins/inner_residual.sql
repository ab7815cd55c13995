-- A condition beside the key.
-- tables: bids, auctions
-- duckdb: same
SELECT b.seq, a.category FROM bids AS b JOIN auctions AS a ON b.auction = a.id AND b.price > a.reserve
