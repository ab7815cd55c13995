-- An inner join on a key with NULLs on both sides.
-- tables: bids, people
-- duckdb: same
SELECT b.seq, p.name, p.city FROM bids AS b JOIN people AS p ON b.bidder = p.id
