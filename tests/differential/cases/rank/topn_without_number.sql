-- The same without the place, by growing price.
-- tables: bids
-- duckdb: same
SELECT auction, seq, price FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY auction ORDER BY price, seq DESC) AS n FROM bids WHERE price IS NOT NULL)
WHERE n <= 2
