"""The data plane: framed, multiplexed connections with credit-based flow control."""
