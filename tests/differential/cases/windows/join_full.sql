-- A full join of windows, whose rows may have no partner on either side.
-- tables: bids, auctions
-- duckdb:
--| SELECT b.auction, a.id, b.n, a.m, COALESCE(b.w, a.w) FROM
--| (SELECT auction, tumble(ts, 10) AS w, COUNT(*) AS n FROM bids GROUP BY ALL) b
--| FULL JOIN (SELECT id, tumble(ts, 10) AS w, COUNT(*) AS m FROM auctions GROUP BY ALL) a ON b.auction = a.id AND b.w = a.w
SELECT b.auction, a.id, b.n, a.m, COALESCE(b.window_start, a.window_start) AS w FROM
  (SELECT auction, window_start, window_end, COUNT(*) AS n FROM TABLE(TUMBLE(TABLE bids, DESCRIPTOR(ts),
    INTERVAL '10' SECOND)) GROUP BY auction, window_start, window_end) AS b
FULL JOIN (SELECT id, window_start, window_end, COUNT(*) AS m FROM TABLE(TUMBLE(TABLE auctions, DESCRIPTOR(ts),
    INTERVAL '10' SECOND)) GROUP BY id, window_start, window_end) AS a
ON b.auction = a.id AND b.window_start = a.window_start AND b.window_end = a.window_end
