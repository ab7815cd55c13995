-- IN over groups that come and go.
-- tables: bids
-- duckdb: same
SELECT seq, bidder FROM bids WHERE bidder IN (SELECT bidder FROM bids GROUP BY bidder HAVING COUNT(*) < 9)
