"""Types of records (``pyflink.common.typeinfo``)."""

from millstream.core.api.types import TypeInformation, Types

__all__ = ["TypeInformation", "Types"]
