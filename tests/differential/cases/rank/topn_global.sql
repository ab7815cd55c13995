-- The best of all.
-- tables: bids
-- duckdb: same
SELECT seq, price, n FROM (SELECT *, ROW_NUMBER() OVER (ORDER BY price DESC, seq) AS n FROM bids WHERE price > 0)
WHERE n <= 10
