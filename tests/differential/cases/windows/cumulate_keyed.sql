-- Growing windows by a key, with distinct counts.
-- tables: bids
-- duckdb:
--| SELECT channel, e, COUNT(DISTINCT auction) FROM (
--|   SELECT channel, auction, tumble(ts, 60) AS s,
--|    unnest(generate_series(tumble(ts, 10) + INTERVAL 10 SECOND, tumble(ts, 60) + INTERVAL 60 SECOND, INTERVAL 10 SECOND)) AS e
--|   FROM bids) GROUP BY channel, s, e
SELECT channel, window_end, COUNT(DISTINCT auction) AS n
FROM TABLE(CUMULATE(TABLE bids, DESCRIPTOR(ts), INTERVAL '10' SECOND, INTERVAL '1' MINUTE))
GROUP BY channel, window_start, window_end
