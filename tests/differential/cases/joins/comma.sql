-- A list of tables with the condition in WHERE.
-- tables: bids, auctions
-- duckdb: same
SELECT b.seq, a.expires FROM bids AS b, auctions AS a WHERE b.auction = a.id AND a.category = 2 AND b.channel = 'web'
