-- Windows of a skewed key.
-- tables: skewed
-- duckdb:
--| SELECT k, w, COUNT(*), SUM(v) FROM (SELECT k, v, unnest(hops(ts, 10, 40)) AS w FROM skewed) GROUP BY k, w
SELECT k, window_start, COUNT(*) AS n, SUM(v) AS s
FROM TABLE(HOP(TABLE skewed, DESCRIPTOR(ts), INTERVAL '10' SECOND, INTERVAL '40' SECOND))
GROUP BY k, window_start, window_end
