"""Requests that do not parse are refused as bad calls, before a servicer sees them.

gRPC itself would take each for a fault of the servicer, and log it with its stack, as often as somebody sends one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple

import grpc
import grpc.aio
from google.protobuf.message import DecodeError


class _Malformed(NamedTuple):
    """In place of a request: why there is none."""

    reason: str


def refusing_malformed(handler: grpc.RpcMethodHandler[Any, Any]) -> grpc.RpcMethodHandler[Any, Any]:
    """``handler``, which answers INVALID_ARGUMENT to what it cannot decode. For the shapes that our services have."""
    made: Any = handler
    decode = _decoder(made.request_deserializer)
    if made.stream_unary is not None:
        return grpc.stream_unary_rpc_method_handler(_of_stream(made.stream_unary), decode, made.response_serializer)
    if made.unary_stream is not None:
        return grpc.unary_stream_rpc_method_handler(_streaming(made.unary_stream), decode, made.response_serializer)
    return grpc.unary_unary_rpc_method_handler(_unary(made.unary_unary), decode, made.response_serializer)


def _decoder(decode: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    def decoded(data: bytes) -> Any:
        try:
            return decode(data)
        except DecodeError as error:
            return _Malformed(f"the request cannot be read: {error}")

    return decoded


def _unary(serve: Callable[[Any, Any], Any]) -> Any:
    async def checked(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        await _refuse(request, context)
        return await serve(request, context)

    return checked


def _streaming(serve: Callable[[Any, Any], Any]) -> Any:
    async def checked(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> AsyncIterator[Any]:
        await _refuse(request, context)
        async for response in serve(request, context):
            yield response

    return checked


def _of_stream(serve: Callable[[Any, Any], Any]) -> Any:
    async def checked(requests: AsyncIterator[Any], context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        async def wellformed() -> AsyncIterator[Any]:
            async for request in requests:
                await _refuse(request, context)
                yield request

        return await serve(wellformed(), context)

    return checked


async def _refuse(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> None:
    if isinstance(request, _Malformed):
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, request.reason)
