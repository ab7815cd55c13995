-- Hot items: the auctions with the most bids of the last ten seconds, every two seconds.
WITH slices AS (
  SELECT auction, time_bucket(INTERVAL '2 seconds', "dateTime") AS slice, count(*) AS num FROM bid GROUP BY ALL
), windows AS (
  SELECT auction, slice - to_seconds(2 * k) AS starttime, sum(num) AS num
  FROM slices, range(5) AS r(k) GROUP BY ALL
)
SELECT auction, num FROM windows
QUALIFY num = max(num) OVER (PARTITION BY starttime)
