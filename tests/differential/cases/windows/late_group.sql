-- A group aggregate knows no late rows.
-- tables: late_bids
-- duckdb: same
SELECT auction, COUNT(*) AS n, MIN(ts) AS first FROM late_bids GROUP BY auction
