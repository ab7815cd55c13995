-- Places two to four.
-- tables: bids
-- duckdb: same
SELECT channel, seq, n FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY channel ORDER BY price DESC, seq) AS n FROM bids WHERE price IS NOT NULL)
WHERE n BETWEEN 2 AND 4
