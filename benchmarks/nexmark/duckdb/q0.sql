-- Pass through: what decoding and encoding cost.
SELECT auction, bidder, price, "dateTime", extra FROM bid
