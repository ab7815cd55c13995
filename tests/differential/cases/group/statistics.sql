-- Deviations and variances.
-- tables: mixed
-- duckdb: same
SELECT k, STDDEV_POP(d) AS a, STDDEV_SAMP(d) AS b, VAR_POP(d) AS c, VAR_SAMP(d) AS e FROM mixed GROUP BY k
