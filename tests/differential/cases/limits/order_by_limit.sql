-- The first by any column keep changing.
-- tables: bids
-- duckdb: same
SELECT seq, price FROM bids WHERE price IS NOT NULL ORDER BY price DESC, seq LIMIT 7
