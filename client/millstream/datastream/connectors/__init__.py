"""Connectors under PyFlink's module paths."""
