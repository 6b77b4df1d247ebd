"""What the tests of all readers need: a small image, real files where they are present, and ways to damage a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from stemdisp.errors import ReadError
from stemdisp.io.read import read

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(1).poisson(50, (24, 32)).astype(np.uint16)


@pytest.fixture
def real_file() -> Callable[[str], Path]:
    """A path below the folder of real files, beside the repository; the test is skipped where it is not there."""

    def find(name: str) -> Path:
        path = DATA / name
        if not path.exists():
            pytest.skip(f"{path} is not on this machine")
        return path

    return find


@pytest.fixture
def refusal() -> Callable[..., str]:
    """The sentence that a file is refused with: one line, whatever is in the file."""

    def refuse(path: Path) -> str:
        with pytest.raises(ReadError) as caught:
            read(path)
        sentence = str(caught.value)
        assert sentence.isprintable(), sentence
        assert path.name in sentence
        return sentence

    return refuse


@pytest.fixture
def damaged() -> Callable[..., int]:
    """Reads a file cut short and with bits flipped: a sentence or an image each time.  Returns how many sentences."""

    def damage(path: Path, cuts: int = 40, flips: int = 80, head: int = 4096) -> int:
        raw, rng, refused = path.read_bytes(), np.random.default_rng(7), 0
        cases = [raw[:length] for length in np.linspace(1, len(raw) - 1, cuts).astype(int)]
        for i in range(flips):
            bad = bytearray(raw)
            for place in rng.integers(0, min(len(raw), head if i % 2 else len(raw)), 1 + i % 4):
                bad[place] ^= 1 << int(rng.integers(8))
            cases.append(bytes(bad))
        for case in cases:
            path.write_bytes(case)
            try:
                found = read(path)
            except ReadError as error:
                assert str(error).isprintable()
                refused += 1
            else:
                assert min(found.shape) >= 8
                assert found.pixel_size is None or np.isfinite(found.pixel_size.xy_pm).all()
        path.write_bytes(raw)
        return refused

    return damage
