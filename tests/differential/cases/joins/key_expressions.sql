-- Keys that are expressions of different types.
-- tables: bids, auctions
-- duckdb: same
SELECT b.seq, a.id FROM bids AS b JOIN auctions AS a ON b.auction + 1 = a.id AND b.seq < 200
