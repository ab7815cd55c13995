"""Stream graph to job graph: chains, exchanges, ids, pickled code, shipped modules."""
