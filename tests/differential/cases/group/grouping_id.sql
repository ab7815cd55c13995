-- GROUPING_ID tells the sets apart.
-- tables: bids
-- duckdb: same
SELECT channel, auction, GROUPING_ID(channel, auction) AS g, COUNT(*) AS n FROM bids
GROUP BY GROUPING SETS ((channel), (auction))
