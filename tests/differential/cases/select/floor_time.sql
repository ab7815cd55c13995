-- FLOOR and CEIL of times to a unit.
-- tables: bids
-- duckdb:
--| SELECT seq, date_trunc('minute', ts), date_trunc('hour', ts), CAST(date_trunc('day', ts) AS TIMESTAMP) FROM bids
SELECT seq, FLOOR(ts TO MINUTE) AS m, FLOOR(ts TO HOUR) AS h, FLOOR(ts TO DAY) AS d FROM bids
