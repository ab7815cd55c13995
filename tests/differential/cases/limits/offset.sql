-- OFFSET leaves out the first.
-- tables: bids
-- duckdb: same
SELECT seq, price FROM bids WHERE price IS NOT NULL ORDER BY price, seq LIMIT 5 OFFSET 3
