-- A condition beside key and time.
-- tables: orders, bids
-- duckdb: same
SELECT o.id, b.seq FROM orders AS o JOIN bids AS b
ON o.id = b.bidder AND b.ts BETWEEN o.ts - INTERVAL '10' SECOND AND o.ts + INTERVAL '10' SECOND AND b.price > o.amount
