-- Bounds on both sides, open ones.
-- tables: orders, shipments
-- duckdb: same
SELECT o.id, s.id AS shipment FROM orders AS o JOIN shipments AS s
ON o.id = s.order_id AND s.ts > o.ts - INTERVAL '1' SECOND AND s.ts < o.ts + INTERVAL '2' SECOND
