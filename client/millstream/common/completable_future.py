"""``CompletableFuture``: what the methods of a ``JobClient`` return (``pyflink.common.completable_future``)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class CompletableFuture(Generic[T]):
    """An answer that is fetched when ``result`` asks for it, once."""

    def __init__(self, fetch: Callable[[], T]) -> None:
        self._fetch = fetch
        self._values: list[T] = []

    def done(self) -> bool:
        """The answer is here already; ``result`` will not wait."""
        return bool(self._values)

    def result(self) -> T:
        """Wait for the answer. Raises what the call raised."""
        if not self._values:
            self._values.append(self._fetch())
        return self._values[0]

    def exception(self) -> Exception | None:
        """Wait, and return what ``result`` would raise; None if it would not."""
        try:
            self.result()
        except Exception as error:
            return error
        return None
