"""Rows (``pyflink.common.types``)."""

from millstream.core.api.row import Row, RowKind

__all__ = ["Row", "RowKind"]
