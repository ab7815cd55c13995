-- Equal rows on both sides count each.
-- tables: rates
-- duckdb: same
SELECT a.currency, b.currency AS other FROM (SELECT currency FROM rates) AS a JOIN (SELECT currency FROM rates) AS b
ON a.currency = b.currency
