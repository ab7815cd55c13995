-- NOT IN over a subquery with a NULL keeps nothing.
-- tables: bids, people
-- duckdb: same
SELECT seq FROM bids WHERE bidder NOT IN (SELECT id FROM people)
