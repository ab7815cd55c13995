-- Both.
-- tables: orders, shipments
-- duckdb: same
SELECT o.id, s.id AS shipment FROM orders AS o FULL JOIN shipments AS s
ON o.id = s.order_id AND s.ts BETWEEN o.ts AND o.ts + INTERVAL '1' SECOND
