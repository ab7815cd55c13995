"""Joins of two inputs of columns."""
