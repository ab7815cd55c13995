-- VALUES joined with a table.
-- tables: bids
-- duckdb: same
SELECT b.seq, v.word FROM bids AS b JOIN (VALUES (10, 'ten'), (25, 'many'), (999, 'much')) AS v (p, word) ON b.price = v.p
