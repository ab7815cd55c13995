-- GROUPING SETS with the empty one.
-- tables: bids
-- duckdb: same
SELECT channel, auction, COUNT(*) AS n FROM bids GROUP BY GROUPING SETS ((channel), (auction), (channel, auction), ())
