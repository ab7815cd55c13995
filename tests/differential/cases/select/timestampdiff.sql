-- Differences of times in whole units.
-- tables: auctions
-- duckdb:
--| SELECT id, CAST(TRUNC(epoch_ms(expires) / 1000 - epoch_ms(ts) / 1000) AS BIGINT),
--|   (epoch_ms(expires) - epoch_ms(ts)) // 60000, 0 FROM auctions
SELECT id, TIMESTAMPDIFF(SECOND, ts, expires) AS s, TIMESTAMPDIFF(MINUTE, ts, expires) AS m,
  TIMESTAMPDIFF(DAY, ts, expires) AS d FROM auctions
