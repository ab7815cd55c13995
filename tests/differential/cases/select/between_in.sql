-- BETWEEN, NOT BETWEEN, IN and NOT IN with NULL values.
-- tables: bids
-- duckdb: same
SELECT seq, price BETWEEN 20 AND 900 AS a, price NOT BETWEEN 20 AND 900 AS b, price IN (10, 25, 999) AS c,
  channel NOT IN ('web', 'app') AS d FROM bids
