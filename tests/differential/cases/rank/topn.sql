-- The three dearest bids of each auction, with their places.
-- tables: bids
-- duckdb: same
SELECT auction, seq, price, n FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY auction ORDER BY price DESC, seq) AS n FROM bids WHERE price IS NOT NULL)
WHERE n <= 3
