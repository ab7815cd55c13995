-- A correlated scalar subquery.
-- tables: auctions, bids
-- duckdb: same
SELECT id, category, (SELECT MAX(price) FROM bids AS b WHERE b.auction = a.id) AS most FROM auctions AS a
