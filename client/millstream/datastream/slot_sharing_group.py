"""Named groups of operators that may share slots (``pyflink.datastream.slot_sharing_group``)."""

from __future__ import annotations

from millstream.core.errors import JobGraphError


class SlotSharingGroup:
    """A name; ``SlotSharingGroup.builder("fast").build()``, as in PyFlink, or just ``SlotSharingGroup("fast")``."""

    def __init__(self, name: str) -> None:
        if not isinstance(name, str) or not name:
            raise JobGraphError(f"a slot sharing group needs a name, not {name!r}")
        self._name = name

    def get_name(self) -> str:
        return self._name

    @staticmethod
    def builder(name: str) -> SlotSharingGroup.Builder:
        return SlotSharingGroup.Builder(name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SlotSharingGroup) and other._name == self._name

    def __hash__(self) -> int:
        return hash(self._name)

    class Builder:
        """Builds a group. Slots of this version are alike, so there are no resources to set."""

        def __init__(self, name: str) -> None:
            self._name = name

        def build(self) -> SlotSharingGroup:
            return SlotSharingGroup(self._name)
