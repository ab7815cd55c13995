"""Aggregate functions over columns: accumulators live in keyed tables, kernels add whole batches to them."""
