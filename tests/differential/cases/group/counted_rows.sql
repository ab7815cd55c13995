-- Rows that only count: nobody reads a column of the inner aggregates.
-- tables: bids
-- duckdb:
--| SELECT COUNT(*), 1 FROM (SELECT COUNT(*) FROM bids)
SELECT COUNT(*) AS n, MAX(one) AS one FROM (SELECT 1 AS one FROM (SELECT COUNT(*), SUM(price) FROM bids))
