"""Queries on a cluster: what the SQL session and tables of programs run through."""
