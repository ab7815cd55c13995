"""The operators of SQL and the Table API: Arrow batches with row kinds in, Arrow batches with row kinds out."""
