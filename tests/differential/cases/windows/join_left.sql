-- A left join of windowed aggregates.
-- tables: bids, auctions
-- duckdb:
--| SELECT b.auction, b.w, b.n, a.m FROM
--| (SELECT auction, tumble(ts, 20) AS w, COUNT(*) AS n FROM bids GROUP BY ALL) b
--| LEFT JOIN (SELECT id, tumble(ts, 20) AS w, COUNT(*) AS m FROM auctions GROUP BY ALL) a ON b.auction = a.id AND b.w = a.w
SELECT b.auction, b.window_start, b.n, a.m FROM
  (SELECT auction, window_start, window_end, COUNT(*) AS n FROM TABLE(TUMBLE(TABLE bids, DESCRIPTOR(ts),
    INTERVAL '20' SECOND)) GROUP BY auction, window_start, window_end) AS b
LEFT JOIN (SELECT id, window_start, window_end, COUNT(*) AS m FROM TABLE(TUMBLE(TABLE auctions, DESCRIPTOR(ts),
    INTERVAL '20' SECOND)) GROUP BY id, window_start, window_end) AS a
ON b.auction = a.id AND b.window_start = a.window_start AND b.window_end = a.window_end
