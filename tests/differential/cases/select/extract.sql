-- Fields of dates and times.
-- tables: mixed
-- duckdb:
--| SELECT id, YEAR(dt), MONTH(dt), DAY(dt), QUARTER(dt), DAYOFYEAR(dt), HOUR(moment), MINUTE(moment), SECOND(moment) FROM mixed
SELECT id, EXTRACT(YEAR FROM dt) AS y, EXTRACT(MONTH FROM dt) AS m, DAYOFMONTH(dt) AS d, QUARTER(dt) AS q,
  DAYOFYEAR(dt) AS n, HOUR(moment) AS h, MINUTE(moment) AS mi, SECOND(moment) AS s FROM mixed
