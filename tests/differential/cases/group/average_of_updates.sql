-- AVG over rows that are retracted.
-- tables: bids
-- duckdb: same
SELECT n, AVG(CAST(hi AS DOUBLE)) AS a, COUNT(*) AS c
FROM (SELECT bidder, COUNT(*) AS n, MAX(price) AS hi FROM bids GROUP BY bidder) GROUP BY n
