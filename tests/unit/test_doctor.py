"""What doctor says of an installation."""

from __future__ import annotations

import numpy as np
import pytest
from typer.testing import CliRunner

from stemdisp import __version__, doctor
from stemdisp.backend import CPU
from stemdisp.cli import app
from stemdisp.fitting.engine import built


@pytest.fixture(autouse=True)
def quick(monkeypatch) -> None:
    monkeypatch.setattr(doctor, "PER_ROW", 12)
    monkeypatch.setattr(doctor, "TIMED", 0.0)


def test_it_names_versions_engines_and_trials() -> None:
    done = CliRunner().invoke(app, ["doctor"])
    assert done.exit_code == 0, done.output
    assert __version__ in done.output and np.__version__ in done.output
    assert "144 columns in 15 x 15 px" in done.output
    assert ("compiled, " if built() else "arrays (NumPy)") in done.output
    assert done.output.count("double") == 1 + built()
    assert "stemdisp[cuda12]" in done.output or "gpu: " in done.output


def test_every_engine_is_at_the_bound() -> None:
    for trial in doctor.trials(doctor.devices()[0]):
        # Least squares on counts is up to a fifth above it.
        assert 0.85 < trial.error_px / trial.bound_px < 1.4
        assert trial.per_second > 0 and trial.per_cpu_second > 0


def test_without_a_gpu_it_says_why() -> None:
    found, missing = doctor.devices()
    assert "CuPy" in missing or found[-1].is_gpu


def test_where_nothing_was_built_it_says_what_is_missing(monkeypatch) -> None:
    monkeypatch.setattr(doctor, "built", lambda: False)
    assert "C++ compiler" in doctor.engines()["engine"]
    assert CPU not in doctor.devices()[0]
