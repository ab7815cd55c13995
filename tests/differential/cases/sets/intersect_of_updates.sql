-- INTERSECT of changing rows.
-- tables: bids
-- duckdb: same
SELECT n FROM (SELECT COUNT(*) AS n FROM bids GROUP BY auction) INTERSECT
SELECT n FROM (SELECT COUNT(*) AS n FROM bids GROUP BY bidder)
