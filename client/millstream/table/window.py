"""The names of ``pyflink.table.window``."""

from millstream.table.windows import Over, OverWindow, Session, Slide, Tumble

__all__ = ["Over", "OverWindow", "Session", "Slide", "Tumble"]
