-- A comparison with a correlated aggregate.
-- tables: bids
-- duckdb:
--| SELECT seq, auction, price FROM bids AS b
--| WHERE price > (SELECT CAST(TRUNC(AVG(price)) AS BIGINT) FROM bids AS c WHERE c.auction = b.auction)
SELECT seq, auction, price FROM bids AS b WHERE price > (SELECT AVG(price) FROM bids AS c WHERE c.auction = b.auction)
