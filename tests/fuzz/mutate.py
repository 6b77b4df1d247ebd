"""Files with a few things changed: bits, bytes, numbers, pieces cut out, doubled or moved."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable, Sequence

import numpy as np

INTERESTING = (0, 1, -1, 2, 3, 7, 127, 128, 255, 256, 1024, 32767, 65535, 2**31 - 1, 2**31, 2**32 - 1, 2**62, -(2**63))
"""Numbers at which readers are prone to go wrong."""

HEAD = 4096
"""Half of the changes are made here, where headers are."""


def _place(raw: bytearray, rng: np.random.Generator) -> int:
    return int(rng.integers(min(len(raw), HEAD) if rng.random() < 0.5 else len(raw)))


def _bit(raw: bytearray, rng: np.random.Generator) -> None:
    raw[_place(raw, rng)] ^= 1 << int(rng.integers(8))


def _byte(raw: bytearray, rng: np.random.Generator) -> None:
    raw[_place(raw, rng)] = int(rng.integers(256))


def _number(raw: bytearray, rng: np.random.Generator) -> None:
    width, order = int(rng.choice([2, 4, 8])), "little" if rng.random() < 0.7 else "big"
    value = INTERESTING[int(rng.integers(len(INTERESTING)))] % 2 ** (8 * width)
    place = _place(raw, rng) // 2 * 2
    raw[place : place + width] = value.to_bytes(width, order)  # type: ignore[arg-type]


def _float(raw: bytearray, rng: np.random.Generator) -> None:
    value = float(rng.choice([0.0, -1.0, np.nan, np.inf, 1e300, 1e-300, 1.0]))
    place = _place(raw, rng) // 4 * 4
    raw[place : place + 8] = struct.pack("<d", value)


def _digit(raw: bytearray, rng: np.random.Generator) -> None:
    """Another character where there is text, as in the headers of NumPy and the JSON of Velox."""
    found = [i for i in range(min(len(raw), HEAD)) if 48 <= raw[i] < 58]
    if found:
        raw[found[int(rng.integers(len(found)))]] = int(rng.choice(list(b"0129-.e[]{}\"'")))


def _cut(raw: bytearray, rng: np.random.Generator) -> None:
    del raw[_place(raw, rng) :]


def _out(raw: bytearray, rng: np.random.Generator) -> None:
    place = _place(raw, rng)
    del raw[place : place + int(rng.integers(1, 64))]


def _double(raw: bytearray, rng: np.random.Generator) -> None:
    place = _place(raw, rng)
    raw[place:place] = raw[place : place + int(rng.integers(1, 64))]


def _elsewhere(raw: bytearray, rng: np.random.Generator) -> None:
    start, place, length = _place(raw, rng), _place(raw, rng), int(rng.choice([2, 4, 8, 16, 64]))
    raw[place : place + length] = raw[start : start + length]


CHANGES: Sequence[Callable[[bytearray, np.random.Generator], None]] = (
    *(_bit, _bit, _bit, _byte, _byte, _number, _number, _number),
    *(_float, _digit, _elsewhere, _elsewhere, _out, _double, _cut),
)


def _inside(seed: bytes, rng: np.random.Generator, most: int) -> bytes:
    """An archive of which one member is changed, its checks being right."""
    written = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(seed)) as archive, zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as new:
        chosen = int(rng.integers(len(archive.infolist())))
        for i, info in enumerate(archive.infolist()):
            content = archive.read(info)
            new.writestr(info.filename, mutated(content, rng, most) if i == chosen and content else content)
    return written.getvalue()


def mutated(seed: bytes, rng: np.random.Generator, most: int = 16) -> bytes:
    """A file with 1 to ``most`` changes; it never is empty."""
    if seed.startswith(b"PK") and rng.random() < 0.5:
        return _inside(seed, rng, most)
    raw = bytearray(seed)
    for _ in range(int(rng.integers(1, most + 1))):
        if raw:
            CHANGES[int(rng.integers(len(CHANGES)))](raw, rng)
    return bytes(raw) or b"\0"
