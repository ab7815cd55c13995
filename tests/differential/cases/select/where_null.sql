-- A comparison with NULL keeps no row.
-- tables: bids
-- duckdb: same
SELECT seq, price FROM bids WHERE price > 100 OR channel = 'app'
