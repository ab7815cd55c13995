-- Columns, arithmetic and constants.
-- tables: bids
-- duckdb: same
SELECT seq, auction, price + 1 AS more, price * 2 - bidder AS mixed, 'x' AS x, 7 AS seven FROM bids
