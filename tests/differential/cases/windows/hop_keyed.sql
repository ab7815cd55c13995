-- Sliding windows by a key, with distinct counts and averages.
-- tables: bids
-- duckdb:
--| SELECT auction, w + INTERVAL 30 SECOND, COUNT(*), COUNT(DISTINCT bidder), AVG(price)
--| FROM (SELECT auction, bidder, price, unnest(hops(ts, 10, 30)) AS w FROM bids) GROUP BY auction, w
SELECT auction, window_end, COUNT(*) AS n, COUNT(DISTINCT bidder) AS d, AVG(CAST(price AS DOUBLE)) AS a
FROM TABLE(HOP(TABLE bids, DESCRIPTOR(ts), INTERVAL '10' SECOND, INTERVAL '30' SECOND))
GROUP BY auction, window_start, window_end
