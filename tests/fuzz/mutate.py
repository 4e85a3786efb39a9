"""Files that are nearly what they should be: a seeded mutator of bytes, JSON, and PNG whose checksums are right."""

import json
import random
import struct
import zlib
from typing import Any

NUMBERS = (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"\0\0\xff\xff", b"\1\0\0\0")
ODD: tuple[Any, ...] = (
    None, True, -1, 0, 1, 10**9, 10**30, 0.5, 1e308, float("nan"), "", "x", "\ud800", "../..", "a\nb\x1b[2J",
    [], {}, [[]], {"a": None}, [1] * 50, "9" * 5000,
)  # fmt: skip


def mutated(data: bytes, name: str, dice: random.Random) -> bytes:
    """`data` of a file called `name`, changed in one to four places."""
    if name.endswith((".json", ".jsonl")) and dice.random() < 0.7:
        lines = data.decode().splitlines(keepends=True) if name.endswith("l") else [data.decode()]
        at = dice.randrange(len(lines))
        lines[at] = json.dumps(_value(json.loads(lines[at]), dice)) + "\n"
        return "".join(lines).encode()
    changed = bytearray(data)
    for _ in range(dice.randint(1, 4)):
        _bytes(changed, dice)
    if name.endswith(".png") and dice.random() < 0.5:
        return _checked(bytes(changed))
    return bytes(changed)


def recipe(text: str, dice: random.Random) -> dict[str, Any]:
    """A recipe, as JSON, of which a few values are others."""
    value = json.loads(text)
    for _ in range(dice.randint(1, 3)):
        value = _value(value, dice)
    return value if isinstance(value, dict) else {"content": value}


def _value(value: Any, dice: random.Random) -> Any:
    """`value` with one thing in it replaced, removed or added."""
    if isinstance(value, dict) and value and dice.random() < 0.9:
        key, now = dice.choice(list(value)), dict(value)
        if dice.random() < 0.15:
            del now[key]
        elif dice.random() < 0.1:
            now[str(dice.choice(ODD))] = now[key]
        else:
            now[key] = _value(now[key], dice)
        return now
    if isinstance(value, list) and value and dice.random() < 0.8:
        at = dice.randrange(len(value))
        return [*value[:at], _value(value[at], dice), *value[at + 1 :]]
    return dice.choice(ODD)


def _bytes(data: bytearray, dice: random.Random) -> None:
    """Change `data` in one place; most often near the start, where headers are."""
    if not data:
        return
    size = len(data)
    at = dice.randrange(min(size, 400) if dice.random() < 0.5 else size)
    other, length = dice.randrange(size), dice.randint(1, 64)
    kind = dice.randrange(8)
    if kind <= 2:
        data[at] ^= 1 << dice.randrange(8)
    elif kind == 3:
        data[at] = dice.randrange(256)
    elif kind == 4:
        data[at : at + 4] = dice.choice(NUMBERS)
    elif kind == 5:
        del data[at : at + length]
    elif kind == 6:
        data[at:at] = data[other : other + length]
    else:
        del data[max(1, other) :]


def _checked(png: bytes) -> bytes:
    """The same file with right checksums, as far as its chunks can be told."""
    out, at = png[:8], 8
    while at + 12 <= len(png):
        length = struct.unpack_from(">I", png, at)[0]
        body = png[at + 4 : at + 8 + length]
        if at + 12 + length > len(png):
            break
        out += png[at : at + 4] + body + struct.pack(">I", zlib.crc32(body))
        at += 12 + length
    return out + png[at:]
