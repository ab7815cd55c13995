"""Contents of a window with an evictor: all records with their event times, aggregated only when it fires."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from millstream.core.api.windowing.evictors import Evictor, TimestampedValue
from millstream.core.api.windowing.window import Window
from millstream.taskmanager.operators.windowing.contents import MISSING, Contents, ListContents

if TYPE_CHECKING:
    from millstream.taskmanager.operators.windowing.keyed_base import KeyedWindowOperator


class EvictingContents(ListContents):
    """A list of ``TimestampedValue``; what is emitted is computed by ``inner`` from the records that are left."""

    def __init__(self, inner: Contents) -> None:
        self.inner = inner

    def aggregated(self, elements: list[TimestampedValue]) -> Any:
        """The inner content of ``elements``; ``MISSING`` when there are none."""
        if self.inner.keeps_records:
            return [element.value for element in elements]
        content: Any = MISSING
        for element in elements:
            value = element.value
            content = self.inner.first(value) if content is MISSING else self.inner.add(content, value)
        return content


class EvictorContext(Evictor.EvictorContext):
    """What an evictor may ask of its operator."""

    def __init__(self, owner: KeyedWindowOperator) -> None:
        self._owner = owner

    def get_current_processing_time(self) -> int:
        return self._owner.context.clock.wall_ms()

    def get_current_watermark(self) -> int:
        return self._owner.watermark_ms

    def get_metric_group(self) -> Any:
        return self._owner.metric_group


class Eviction:
    """Fires windows through an evictor."""

    def __init__(self, owner: KeyedWindowOperator, evictor: Evictor[Any], contents: EvictingContents) -> None:
        self._owner = owner
        self._evictor = evictor
        self._contents = contents
        self._context = EvictorContext(owner)

    def fire(self, key: Any, window: Window, elements: list[TimestampedValue]) -> None:
        """Evict, emit, evict; ``elements`` is changed in place to what stays in the window."""
        self._evictor.evict_before(elements, len(elements), window, self._context)
        content = self._contents.aggregated(elements)
        if content is not MISSING:
            inner, owner = self._contents.inner, self._owner
            if owner.function is None:
                owner.emission.add(inner.result(content), window.max_timestamp())
            else:
                owner.function.fire(key, window, inner.elements(content))
        self._evictor.evict_after(elements, len(elements), window, self._context)
