-- EXCEPT.
-- tables: auctions, people
-- duckdb: same
SELECT seller FROM auctions EXCEPT SELECT id FROM people WHERE score > 100
