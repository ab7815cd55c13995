"""Side outputs (``pyflink.datastream.output_tag``)."""

from millstream.core.api.output_tag import OutputTag

__all__ = ["OutputTag"]
