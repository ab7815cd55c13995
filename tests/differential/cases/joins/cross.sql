-- Every row with every other.
-- tables: rates, nothing, people
-- duckdb: same
SELECT r.currency, p.name FROM (SELECT * FROM rates WHERE rate > 1.8) AS r CROSS JOIN (SELECT * FROM people WHERE id < 9) AS p
