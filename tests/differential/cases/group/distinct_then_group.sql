-- GROUP BY over SELECT DISTINCT.
-- tables: bids
-- duckdb: same
SELECT channel, COUNT(*) AS n FROM (SELECT DISTINCT channel, bidder FROM bids) GROUP BY channel
