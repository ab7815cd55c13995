-- A window over the results of a shorter window.
-- tables: bids
-- duckdb:
--| SELECT tumble(w, 20), tumble(w, 20) + INTERVAL 20 SECOND, SUM(n), MAX(s) FROM
--| (SELECT auction, tumble(ts, 5) AS w, COUNT(*) AS n, SUM(price) AS s FROM bids GROUP BY ALL) GROUP BY 1, 2
SELECT window_start, window_end, SUM(n) AS n, MAX(s) AS s FROM TABLE(TUMBLE(TABLE (
    SELECT auction, window_time AS rowtime, COUNT(*) AS n, SUM(price) AS s
    FROM TABLE(TUMBLE(TABLE bids, DESCRIPTOR(ts), INTERVAL '5' SECOND))
    GROUP BY auction, window_start, window_end, window_time
  ), DESCRIPTOR(rowtime), INTERVAL '20' SECOND)) GROUP BY window_start, window_end
