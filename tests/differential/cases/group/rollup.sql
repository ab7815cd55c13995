-- ROLLUP with GROUPING.
-- tables: bids
-- duckdb:
--| SELECT channel, bidder // 20, GROUPING(channel), COUNT(*), SUM(price) FROM bids GROUP BY ROLLUP (channel, bidder // 20)
SELECT channel, bidder / 20 AS b, GROUPING(channel) AS g, COUNT(*) AS n, SUM(price) AS s FROM bids
GROUP BY ROLLUP (channel, bidder / 20)
