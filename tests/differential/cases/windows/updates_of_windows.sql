-- A group aggregate over windows.
-- tables: bids
-- duckdb:
--| SELECT auction, MAX(n), COUNT(*) FROM
--| (SELECT auction, w, COUNT(*) AS n FROM (SELECT auction, unnest(hops(ts, 10, 20)) AS w FROM bids) GROUP BY ALL)
--| GROUP BY auction
SELECT auction, MAX(n) AS most, COUNT(*) AS windows FROM (
  SELECT auction, window_start, window_end, COUNT(*) AS n
  FROM TABLE(HOP(TABLE bids, DESCRIPTOR(ts), INTERVAL '10' SECOND, INTERVAL '20' SECOND))
  GROUP BY auction, window_start, window_end) GROUP BY auction
