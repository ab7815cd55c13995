-- An interval join.
-- tables: orders, shipments
-- duckdb: same
SELECT o.id, s.id AS shipment, s.ts FROM orders AS o JOIN shipments AS s
ON o.id = s.order_id AND s.ts BETWEEN o.ts AND o.ts + INTERVAL '3' SECOND
