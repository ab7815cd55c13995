-- DENSE_RANK leaves none.
-- tables: bids
-- duckdb: same
SELECT channel, seq, price, n FROM (
  SELECT *, DENSE_RANK() OVER (PARTITION BY channel ORDER BY price DESC) AS n FROM bids WHERE price IS NOT NULL)
WHERE n <= 2
