-- ARRAY, MAP and ROW made of columns.
-- tables: bids
-- duckdb:
--| SELECT seq, [price, bidder], MAP {'p': price, 'b': bidder}, {'seq': seq, 'channel': channel} FROM bids
SELECT seq, ARRAY[price, bidder] AS a, MAP['p', price, 'b', bidder] AS m, ROW(seq, channel) AS r FROM bids
