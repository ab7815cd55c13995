-- The highest bid of each ten seconds.
SELECT b.auction, b.price, b.bidder, b."dateTime", b.extra
FROM bid AS b
JOIN (
  SELECT max(price) AS maxprice, time_bucket(INTERVAL '10 seconds', "dateTime") + INTERVAL '10 seconds' AS endtime
  FROM bid GROUP BY ALL
) AS highest
ON b.price = highest.maxprice
WHERE b."dateTime" BETWEEN highest.endtime - INTERVAL '10' SECOND AND highest.endtime
