-- Nexmark q13. Bids with a value looked up in a side table.
-- tables: bid
-- query: benchmarks/nexmark/queries/q13.sql
-- duckdb setup:
--| CREATE TABLE side_input AS SELECT * FROM (VALUES (1000, 'a'), (1001, 'b'), (1005, 'c')) AS t (key, "value")
-- duckdb:
--| SELECT b.auction, b.bidder, b.price, b."dateTime", s."value" FROM bid AS b JOIN side_input AS s
--| ON b.auction % 10000 = s.key
CREATE VIEW bid_proctime AS SELECT *, PROCTIME() AS p_time FROM bid;
CREATE TABLE side_input (key BIGINT, `value` STRING)
WITH ('connector' = 'values', 'data' = '[[1000, "a"], [1001, "b"], [1005, "c"]]');
