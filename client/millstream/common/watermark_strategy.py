"""Event time and watermarks (``pyflink.common.watermark_strategy``)."""

from millstream.core.api.watermarks import TimestampAssigner, WatermarkStrategy

__all__ = ["TimestampAssigner", "WatermarkStrategy"]
