-- A correlation that is no equality beside one that is.
-- tables: bids, auctions
-- duckdb: same
SELECT seq FROM bids AS b WHERE EXISTS (SELECT 1 FROM auctions AS a WHERE a.id = b.auction AND a.reserve < b.price)
