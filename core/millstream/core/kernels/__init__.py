"""Loops over arrays that no library has, compiled by numba: plain arrays in and out, imported by jobs that need them.

Each kernel is Python that numba compiles at its first call and keeps in its cache; ``nogil`` lets other threads run
meanwhile. Callers check shapes and types: a kernel trusts its arguments.
"""
