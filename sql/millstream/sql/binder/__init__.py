"""From the syntax tree of a query to a logical plan: names become positions, functions and types are resolved."""
