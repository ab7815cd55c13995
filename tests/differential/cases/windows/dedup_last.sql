-- The last row of each auction in each window.
-- tables: people
-- duckdb:
--| SELECT city, w, name, ts FROM (
--|   SELECT *, ROW_NUMBER() OVER (PARTITION BY w, city ORDER BY ts DESC) AS n
--|   FROM (SELECT *, tumble(ts, 60) AS w FROM people)) WHERE n = 1
SELECT city, window_start, name, ts FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, window_end, city ORDER BY ts DESC) AS n
  FROM TABLE(TUMBLE(TABLE people, DESCRIPTOR(ts), INTERVAL '1' MINUTE))) WHERE n = 1
