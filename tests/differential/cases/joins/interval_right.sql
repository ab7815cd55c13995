-- Shipments without an order.
-- tables: orders, shipments
-- duckdb: same
SELECT o.id, s.id AS shipment FROM orders AS o RIGHT JOIN shipments AS s
ON o.id = s.order_id AND o.ts BETWEEN s.ts - INTERVAL '2' SECOND AND s.ts
