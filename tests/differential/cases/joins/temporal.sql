-- Each order with the rate of its time.
-- tables: orders, rates
-- duckdb setup:
--| SELECT 1
-- duckdb:
--| SELECT o.id, o.amount * r.rate FROM orders o ASOF JOIN rates r ON o.currency = r.currency AND o.ts >= r.ts
CREATE VIEW versions AS SELECT currency, rate, ts FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY currency ORDER BY ts DESC) AS n FROM rates) WHERE n = 1;
SELECT o.id, o.amount * r.rate AS amount FROM orders AS o
JOIN versions FOR SYSTEM_TIME AS OF o.ts AS r ON o.currency = r.currency
