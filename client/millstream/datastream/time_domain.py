"""Time domains (``pyflink.datastream.time_domain``)."""

from millstream.core.api.functions import TimeDomain

__all__ = ["TimeDomain"]
