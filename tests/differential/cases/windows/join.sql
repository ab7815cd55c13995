-- An inner join of two windowed tables.
-- tables: bids, auctions
-- duckdb:
--| SELECT b.seq, a.category, tumble(b.ts, 10) FROM bids b JOIN auctions a
--| ON b.auction = a.id AND tumble(b.ts, 10) = tumble(a.ts, 10)
SELECT b.seq, a.category, b.window_start FROM
  (SELECT * FROM TABLE(TUMBLE(TABLE bids, DESCRIPTOR(ts), INTERVAL '10' SECOND))) AS b
JOIN (SELECT * FROM TABLE(TUMBLE(TABLE auctions, DESCRIPTOR(ts), INTERVAL '10' SECOND))) AS a
ON b.auction = a.id AND b.window_start = a.window_start AND b.window_end = a.window_end
