-- Windows that grow up to a largest size.
-- tables: bids
-- duckdb:
--| SELECT s, e, COUNT(*), SUM(price) FROM (
--|   SELECT price, tumble(ts, 20) AS s,
--|     unnest(generate_series(tumble(ts, 5) + INTERVAL 5 SECOND, tumble(ts, 20) + INTERVAL 20 SECOND, INTERVAL 5 SECOND)) AS e
--|   FROM bids) GROUP BY s, e
SELECT window_start, window_end, COUNT(*) AS n, SUM(price) AS s
FROM TABLE(CUMULATE(TABLE bids, DESCRIPTOR(ts), INTERVAL '5' SECOND, INTERVAL '20' SECOND))
GROUP BY window_start, window_end
