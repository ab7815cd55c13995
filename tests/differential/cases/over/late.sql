-- Late rows get no answer.
-- tables: late_bids
-- duckdb:
--| SELECT seq, COUNT(*) OVER (PARTITION BY auction ORDER BY ts RANGE BETWEEN INTERVAL 5 SECOND PRECEDING AND CURRENT ROW)
--| FROM late_bids WHERE NOT (seq > 200 AND seq % 7 = 0)
SELECT seq, COUNT(*) OVER (PARTITION BY auction ORDER BY ts RANGE BETWEEN INTERVAL '5' SECOND PRECEDING AND CURRENT ROW)
  AS n FROM late_bids
