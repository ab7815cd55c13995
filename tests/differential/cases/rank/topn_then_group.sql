-- An aggregate over a top-n.
-- tables: bids
-- duckdb: same
SELECT channel, SUM(price) AS s, COUNT(*) AS c FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY auction ORDER BY price DESC, seq) AS n FROM bids WHERE price IS NOT NULL)
WHERE n <= 2 GROUP BY channel
