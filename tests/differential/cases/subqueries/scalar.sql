-- A scalar subquery.
-- tables: bids
-- duckdb: same
SELECT seq, price FROM bids WHERE price = (SELECT MAX(price) FROM bids)
