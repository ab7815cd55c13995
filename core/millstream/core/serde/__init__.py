"""Bytes for batches and values: typed where the types are known, exact in what comes back.

``encode_batch`` makes self-describing buffers; ``decode_batch`` is the exact inverse, Python types included.
Values without a typed encoding are pickled unless ``generic_types`` is False. The bytes come from authenticated peers;
even so, bytes that do not parse raise ``MalformedRecordError`` and never allocate what a length claims.
"""

from millstream.core.serde.batches import decode_batch, encode_batch
from millstream.core.serde.values import NoTypedEncoding, decode_value, encode_value

__all__ = ["NoTypedEncoding", "decode_batch", "decode_value", "encode_batch", "encode_value"]
