"""SQL: text to statements, statements to plans, plans to the operators of a stream graph. Runs in the client."""
