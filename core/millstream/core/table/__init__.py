"""What SQL and tables are made of: types, bound expressions, functions, and what the operators of a query do.

``millstream.sql`` builds these from text, they travel with the job, and ``operators.table`` of the TaskManager runs
them. All of it works on Arrow columns; there is no Python value a row anywhere but in functions that users write.
"""
