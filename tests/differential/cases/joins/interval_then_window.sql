-- A window over an interval join.
-- tables: orders, shipments
-- duckdb:
--| SELECT tumble(o.ts, 20), COUNT(*) FROM orders o JOIN shipments s
--| ON o.id = s.order_id AND s.ts BETWEEN o.ts AND o.ts + INTERVAL 3 SECOND GROUP BY 1
SELECT window_start, COUNT(*) AS n FROM TABLE(TUMBLE(TABLE (
  SELECT o.id, o.ts FROM orders AS o JOIN shipments AS s
  ON o.id = s.order_id AND s.ts BETWEEN o.ts AND o.ts + INTERVAL '3' SECOND), DESCRIPTOR(ts), INTERVAL '20' SECOND))
GROUP BY window_start, window_end
