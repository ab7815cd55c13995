"""Records made by a function."""

from millstream.connectors.sequence import DataGeneratorSource

__all__ = ["DataGeneratorSource"]
