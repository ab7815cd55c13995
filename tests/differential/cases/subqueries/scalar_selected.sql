-- A scalar subquery among the columns.
-- tables: people, auctions
-- duckdb: same
SELECT id, score - (SELECT MIN(score) FROM people) AS above FROM people WHERE score > 400
