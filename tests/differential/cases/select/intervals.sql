-- Times plus intervals, also over the ends of months.
-- tables: mixed
-- duckdb:
--| SELECT id, CAST(dt + INTERVAL 1 MONTH AS DATE), moment - INTERVAL 36 HOUR, moment + INTERVAL 90 SECOND, moment + INTERVAL 1 YEAR
--| FROM mixed
SELECT id, dt + INTERVAL '1' MONTH AS a, moment - INTERVAL '36' HOUR AS b, moment + INTERVAL '90' SECOND AS c,
  moment + INTERVAL '1' YEAR AS d FROM mixed
