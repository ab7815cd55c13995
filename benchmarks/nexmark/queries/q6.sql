-- Average selling price of each seller's last ten closed auctions.
SELECT q.seller,
  AVG(q.final) OVER (PARTITION BY q.seller ORDER BY q.`dateTime` ROWS BETWEEN 10 PRECEDING AND CURRENT ROW) AS average
FROM (
  SELECT seller, final, `dateTime`
  FROM (
    SELECT a.seller, b.price AS final, b.`dateTime`,
      ROW_NUMBER() OVER (PARTITION BY a.id ORDER BY b.price DESC, b.`dateTime` ASC) AS rownum
    FROM auction AS a, bid AS b
    WHERE a.id = b.auction AND b.`dateTime` BETWEEN a.`dateTime` AND a.expires
  )
  WHERE rownum <= 1
) AS q
