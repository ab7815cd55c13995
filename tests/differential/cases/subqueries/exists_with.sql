-- WITH inside of EXISTS and IN.
-- tables: bids, auctions
-- duckdb: same
SELECT seq FROM bids AS b
WHERE EXISTS (WITH dear AS (SELECT id FROM auctions WHERE reserve > 50) SELECT 1 FROM dear WHERE dear.id = b.auction)
  AND auction IN (WITH few AS (SELECT id FROM auctions WHERE category < 4) SELECT id FROM few)
