-- A view over a view.
-- tables: bids
-- duckdb: same
CREATE VIEW cheap AS SELECT seq, auction, price FROM bids WHERE price < 100;
CREATE VIEW counted (auction, n) AS SELECT auction, COUNT(*) FROM cheap GROUP BY auction;
SELECT c.auction, c.n, d.seq FROM counted AS c JOIN cheap AS d ON c.auction = d.auction WHERE c.n < 10
