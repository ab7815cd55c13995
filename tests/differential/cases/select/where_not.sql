-- NOT over an unknown condition is unknown.
-- tables: bids
-- duckdb: same
SELECT seq, auction, channel FROM bids WHERE NOT (auction < 10 AND channel <> 'web')
