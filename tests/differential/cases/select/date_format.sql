-- DATE_FORMAT with a pattern.
-- tables: bids
-- duckdb:
--| SELECT seq, strftime(ts, '%Y-%m-%d %H:%M'), strftime(ts, '%H:%M:%S') FROM bids
SELECT seq, DATE_FORMAT(ts, 'yyyy-MM-dd HH:mm') AS m, DATE_FORMAT(ts, 'HH:mm:ss') AS s FROM bids
