-- IN over groups: of an aggregate, and as a key.
-- tables: bids, auctions
-- duckdb: same
SELECT auction IN (SELECT id FROM auctions WHERE category < 4) AS few, COUNT(*) AS n
FROM bids GROUP BY auction IN (SELECT id FROM auctions WHERE category < 4) HAVING COUNT(*) NOT IN (SELECT category FROM auctions)
