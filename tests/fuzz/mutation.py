"""Bytes that are almost right, and messages whose fields hold anything; all from one seed."""

from __future__ import annotations

import os
import pickle
import random
from pathlib import Path
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

NUMBERS: Final = (0, 1, 2, 127, 128, 255, 256, 2**15, 2**16, 2**31 - 1, 2**31, 2**32 - 1)
LARGE: Final = (2**53, 2**63 - 1, 2**63, 2**64 - 1)
TEXTS: Final = (
    "",
    "x",
    "0" * 32,
    "f" * 64,
    "../../../etc/passwd",
    "/etc/shadow",
    "file:///etc/passwd",
    "127.0.0.1:1",
    "127.0.0.1:99999999",
    "[::1]",
    "a\x00b",
    "line\nline\r\n\x1b[31m",
    "\N{SNOWMAN}" * 50,
    "A" * 3000,
    "-1",
    "1e309",
    "null",
)
DEPTH_MAX: Final = 4


class Canary:
    """Pickled, it makes a file where it is unpickled: nobody should."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self._file),)

    def bomb(self) -> bytes:
        return pickle.dumps(self)


class Mutator:
    """``canary``: bytes that must not be unpickled, which turn up everywhere."""

    def __init__(self, chance: random.Random, canary: bytes) -> None:
        self.chance = chance
        self._canary = canary

    def noise(self, bytes_max: int = 300) -> bytes:
        return self.chance.choice((self.chance.randbytes(self.chance.randint(0, bytes_max)), self._canary))

    def mutated(self, data: bytes) -> bytes:
        """With one to three changes."""
        changed = bytearray(data)
        chance = self.chance
        for _ in range(chance.randint(1, 3)):
            at = chance.randrange(len(changed) + 1)
            match chance.randrange(7):
                case 0 if at < len(changed):
                    changed[at] ^= 1 << chance.randrange(8)
                case 1 if at < len(changed):
                    changed[at] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
                case 2:
                    changed[at:at] = self.noise(20)
                case 3:
                    del changed[at : at + chance.randint(1, 8)]
                case 4:
                    del changed[at:]
                case 5:
                    changed[at:at] = changed[at : at + chance.randint(1, 40)]
                case 6:
                    width = chance.choice((1, 2, 4, 8))
                    number = chance.choice((*NUMBERS, *LARGE)) & ((1 << 8 * width) - 1)
                    changed[at : at + width] = number.to_bytes(width, chance.choice(("little", "big")))
        return bytes(changed)

    def sometimes_mutated(self, data: bytes) -> bytes:
        return self.mutated(data) if self.chance.random() < 0.5 else data

    def message(self, kind: Descriptor, depth: int = 0) -> Message:
        """One with any fields that its type allows."""
        made = GetMessageClass(kind)()
        for field in kind.fields:
            if depth < DEPTH_MAX and self.chance.random() < 0.6:
                self._fill(made, field, depth)
        return made

    def _fill(self, made: Message, field: FieldDescriptor, depth: int) -> None:
        repeated = field.is_repeated
        entry = field.message_type is not None and field.message_type.GetOptions().map_entry
        if entry:
            for _ in range(self.chance.randint(0, 2)):
                key, value = field.message_type.fields
                if value.message_type is None:
                    getattr(made, field.name)[self._value(key, depth)] = self._value(value, depth)
        elif repeated and field.message_type is not None:
            for _ in range(self.chance.choice((0, 1, 1, 2, 5))):
                getattr(made, field.name).add().CopyFrom(self.message(field.message_type, depth + 1))
        elif repeated:
            getattr(made, field.name).extend(
                self._value(field, depth) for _ in range(self.chance.choice((0, 1, 2, 30)))
            )
        elif field.message_type is not None:
            getattr(made, field.name).CopyFrom(self.message(field.message_type, depth + 1))
        else:
            setattr(made, field.name, self._value(field, depth))

    def _value(self, field: FieldDescriptor, depth: int) -> Any:
        chance = self.chance
        match field.cpp_type:
            case FieldDescriptor.CPPTYPE_STRING:
                if field.type == FieldDescriptor.TYPE_BYTES:
                    return self.noise()
                return chance.choice(TEXTS)
            case FieldDescriptor.CPPTYPE_BOOL:
                return chance.random() < 0.5
            case FieldDescriptor.CPPTYPE_DOUBLE | FieldDescriptor.CPPTYPE_FLOAT:
                return chance.choice((0.0, -1.0, 1e300, float("nan"), float("inf")))
            case FieldDescriptor.CPPTYPE_ENUM:
                return chance.choice((0, 1, 2, 3, 99, -1))
            case FieldDescriptor.CPPTYPE_UINT64:
                return chance.choice((*NUMBERS, *LARGE))
            case FieldDescriptor.CPPTYPE_INT64:
                return chance.choice((*NUMBERS, 2**53, 2**63 - 1, -1, -(2**63)))
            case FieldDescriptor.CPPTYPE_INT32:
                return chance.choice((0, 1, 2**31 - 1, -1, -(2**31)))
            case _:
                return chance.choice(NUMBERS)
