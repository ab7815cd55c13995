-- Bids of each user session; ten seconds without a bid end it.
WITH marked AS (
  SELECT bidder, "dateTime",
    "dateTime" - lag("dateTime") OVER (PARTITION BY bidder ORDER BY "dateTime") < INTERVAL '10 seconds' AS goes_on
  FROM bid
), numbered AS (
  SELECT bidder, "dateTime",
    count(*) FILTER (WHERE goes_on IS NOT TRUE) OVER (PARTITION BY bidder ORDER BY "dateTime" ROWS UNBOUNDED PRECEDING) AS n
  FROM marked
)
SELECT bidder, count(*) AS bid_count, min("dateTime") AS starttime, max("dateTime") + INTERVAL '10 seconds' AS endtime
FROM numbered GROUP BY bidder, n
