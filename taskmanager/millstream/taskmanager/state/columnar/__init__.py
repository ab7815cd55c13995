"""Keyed state in columns, for operators on Arrow batches: rows have slots, and kernels work on arrays by slot."""
