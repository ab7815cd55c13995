-- Tumbling windows by keys, with DISTINCT, FILTER and MIN.
-- tables: bids
-- duckdb:
--| SELECT channel, tumble(ts, 20), COUNT(DISTINCT bidder), COUNT(*) FILTER (WHERE price > 50), MIN(price) FROM bids
--| GROUP BY ALL
SELECT channel, window_start, COUNT(DISTINCT bidder) AS d, COUNT(*) FILTER (WHERE price > 50) AS f, MIN(price) AS lo
FROM TABLE(TUMBLE(TABLE bids, DESCRIPTOR(ts), INTERVAL '20' SECOND)) GROUP BY channel, window_start, window_end
