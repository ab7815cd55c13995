"""From a logical plan to the operators of a stream graph."""
