-- COLLECT counts each value.
-- tables: bids
-- duckdb:
--| SELECT auction, map_from_entries(list((channel, CAST(n AS INT)))) FROM
--| (SELECT auction, channel, COUNT(*) AS n FROM bids WHERE auction > 20 AND channel IS NOT NULL GROUP BY auction, channel)
--| GROUP BY auction
SELECT auction, COLLECT(channel) AS c FROM bids WHERE auction > 20 GROUP BY auction
