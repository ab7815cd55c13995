-- Arithmetic of doubles and functions of them.
-- tables: mixed
-- duckdb: same
SELECT id, d * 2.5E0 AS m, d / 3 AS q, FLOOR(d) AS fl, CEIL(d) AS ce, SIGN(d) AS si, POWER(k, 2) AS p, SQRT(ABS(d)) AS s,
  EXP(k) AS e, LN(k + 1) AS l FROM mixed
