"""Result folders: nothing lost, nothing half written, tables to the letter."""

from __future__ import annotations

import csv
import dataclasses
import json
import math
import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sides import on_side

from stemdisp import flags, recipe
from stemdisp.errors import ReadError, RecipeError, StemdispError
from stemdisp.io import store, tables
from stemdisp.io.archive import NOUNS
from stemdisp.io.recipe_toml import describe, to_toml
from stemdisp.io.store import load, save, save_failure
from stemdisp.model.analysis import Analysis
from stemdisp.model.columns import Columns
from stemdisp.model.domains import Domains, Vortex, Wall
from stemdisp.model.fields import VectorField
from stemdisp.model.maps import NAMES
from stemdisp.model.micrograph import InputFile, Micrograph, PixelSize, Signal
from stemdisp.model.vacancies import Vacancies

FILES = {
    *("analysis.npz", "cells.csv", "columns.csv", "layers.csv", "recipe.toml", "result.json", "summary.json"),
}


def same(a: Any, b: Any, where: str = "analysis") -> None:
    """Equality bit for bit, type for type."""
    if isinstance(a, np.ndarray):
        assert isinstance(b, np.ndarray) and (a.dtype, a.shape) == (b.dtype, b.shape), where
        assert a.tobytes() == b.tobytes(), where
    elif dataclasses.is_dataclass(a):
        assert type(a) is type(b), where
        for field in dataclasses.fields(a):
            same(getattr(a, field.name), getattr(b, field.name), f"{where}.{field.name}")
    elif isinstance(a, Mapping):
        assert list(a) == list(b), where
        for key in a:
            same(a[key], b[key], f"{where}[{key!r}]")
    elif isinstance(a, (tuple, list)):
        assert len(a) == len(b), where
        for i, (one, other) in enumerate(zip(a, b, strict=True)):
            same(one, other, f"{where}[{i}]")
    elif isinstance(a, float) and math.isnan(a):
        assert math.isnan(b), where
    else:
        assert a == b, where


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def bare(**given: Any) -> Analysis:
    """An analysis of which nothing is known but an image."""
    image = np.random.default_rng(0).random((16, 20))
    micrograph = Micrograph("bare", {"HAADF": Signal("HAADF", image)}, **given)
    return Analysis(micrograph, recipe.for_material("KTaO3", "001"))


@pytest.fixture
def hard(kto: Analysis) -> Analysis:
    """An analysis with everything that is hard to store: odd types, NaN, text in every alphabet, drawn entries."""
    rng = np.random.default_rng(3)
    signals = {
        "HAADF": Signal("HAADF", rng.integers(0, 65535, (12, 9)).astype(np.uint16)),
        "ABF": Signal("ABF", np.asfortranarray(rng.random((12, 9)).astype(np.float32)), -1),
    }
    signals["ABF"].image.setflags(write=True)
    signals["ABF"].image[3, 4] = np.nan
    signals["ABF"].image.setflags(write=False)
    name = '=\u30c6\u30b9\u30c8,"\n<script>'
    micrograph = Micrograph(
        name,
        signals,
        PixelSize(9.1234567890123, 11.0, "user"),
        (InputFile(name, 2**40, "ab" * 32, "TIFF"),),
        ("one", "two"),
        5,
        {"title": name, "file_pixel_size_x_pm": "9.0", "file_pixel_size_y_pm": "11.5"},
    )
    entries = {
        "edits": [{"sha256": "a" * 64, "action": "move", "site": '"K"\n', "h": -1, "k": 2, "x": 0.1, "y": 1e-30}],
        "regions": [{"sha256": "b" * 64, "polygon": [[0, 0], [1.5, 2], [3, 1]]}],
        "find": {"separation": 4.25},
    }
    return kto.having(
        micrograph=micrograph,
        recipe=recipe.parse(entries),
        signal_shift_px={"ABF": (0.1 + 0.2, -1e-300)},
        seconds={"find": float("nan"), "refine": 1 / 3},
        device="gpu: \u00b5",
    )


class TestLossless:
    def test_everything_comes_back(self, tmp_path: Path, kto: Analysis) -> None:
        same(kto, load(save(kto, tmp_path / "out")))

    def test_hard_things_come_back(self, tmp_path: Path, hard: Analysis) -> None:
        back = load(save(hard, tmp_path / "out"))
        same(hard, back)
        assert back.recipe.digest() == hard.recipe.digest()
        assert not back.micrograph.signals["HAADF"].image.flags.writeable

    def test_external_profiles_come_back(self, tmp_path: Path, eels: Analysis) -> None:
        same(eels, load(save(eels, tmp_path / "out")))

    def test_unfinished_comes_back(self, tmp_path: Path) -> None:
        same(bare(), load(save(bare(), tmp_path / "out")))

    def test_bytes_depend_on_content_alone(self, tmp_path: Path, kto: Analysis) -> None:
        first = save(kto, tmp_path / "first")
        time.sleep(0.01)
        second = save(kto, tmp_path / "second")
        for name in FILES - {"result.json"}:
            assert (first / name).read_bytes() == (second / name).read_bytes(), name

    def test_every_noun_is_known(self, kto: Analysis) -> None:
        seen: set[str] = set()

        def walk(value: Any) -> None:
            if dataclasses.is_dataclass(value):
                seen.add(type(value).__name__)
                for field in dataclasses.fields(value):
                    walk(getattr(value, field.name))
            elif isinstance(value, Mapping):
                for item in value.values():
                    walk(item)
            elif isinstance(value, (tuple, list)):
                for item in value:
                    walk(item)

        walk(kto)
        assert seen <= set(NOUNS)

    @pytest.mark.parametrize("content", [b"", b"PK\3\4 rubbish"])
    def test_changed_archive_is_noticed(self, tmp_path: Path, kto: Analysis, content: bytes) -> None:
        folder = save(kto, tmp_path / "out")
        (folder / "analysis.npz").write_bytes(content)
        with pytest.raises(ReadError, match="changed after"):
            load(folder)

    def test_foreign_archive(self, tmp_path: Path) -> None:
        from stemdisp.io import archive

        np.savez(tmp_path / "a.npz", document=np.frombuffer(b'{"noun": "os.system", "fields": {}}', np.uint8))
        with pytest.raises(ReadError, match="not written by stemdisp"):
            archive.read(tmp_path / "a.npz")
        np.savez(tmp_path / "b.npz", document=np.array([{}], dtype=object))
        with pytest.raises(ReadError, match="not written by stemdisp"):
            archive.read(tmp_path / "b.npz")


class TestFolder:
    def test_files_and_record(self, tmp_path: Path, kto: Analysis) -> None:
        def draw(folder: Path) -> None:
            assert not (folder / "result.json").exists(), "the record comes last"
            (folder / "figures").mkdir()
            (folder / "figures" / "map.svg").write_text("<svg/>")
            (folder / "report.html").write_text("<html/>")

        started = datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)
        folder = save(kto, tmp_path / "deep" / "KTO", extras=draw, started=started)
        assert {path.name for path in folder.iterdir()} == FILES | {"figures", "report.html"}
        record = json.loads((folder / "result.json").read_text())
        assert record["format"] == 1
        assert record["started"] == "2025-01-02T03:04:05+00:00"
        assert record["recipe"] == kto.recipe.digest()
        assert [one["sha256"] for one in record["inputs"]] == ["ab" * 32, "cd" * 32]
        written = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
        assert set(record["outputs"]) == written - {"result.json"}
        for name, digest in record["outputs"].items():
            assert digest == store.sha256(folder / name)
        assert os.listdir(tmp_path / "deep") == ["KTO"], "nothing temporary stays"

    def test_failing_extras_leave_nothing(self, tmp_path: Path, kto: Analysis) -> None:
        def fail(folder: Path) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            save(kto, tmp_path / "out", extras=fail)
        assert os.listdir(tmp_path) == []

    def test_failure_while_replacing_keeps_the_old(self, tmp_path: Path, kto: Analysis) -> None:
        folder = save(kto, tmp_path / "out")
        before = {path.name: path.read_bytes() for path in folder.iterdir()}

        def fail(folder: Path) -> None:
            raise OSError(28, "No space left on device")

        with pytest.raises(StemdispError, match="No space left"):
            save(kto, folder, overwrite=True, extras=fail)
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
        assert os.listdir(tmp_path) == ["out"]

    def test_failing_rename_brings_the_old_back(
        self, tmp_path: Path, kto: Analysis, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = save(kto, tmp_path / "out")
        rename = Path.rename

        def fragile(self: Path, target: Path) -> Path:
            if target == folder and ".tmp-" in self.name and (self / "cells.parquet").exists():
                raise OSError(5, "Input/output error")
            return rename(self, target)

        monkeypatch.setattr(Path, "rename", fragile)
        with pytest.raises(StemdispError, match="Input/output"):
            save(kto, folder, overwrite=True, table="parquet")
        assert (folder / "cells.csv").exists()
        assert os.listdir(tmp_path) == ["out"]

    def test_overwrite(self, tmp_path: Path, kto: Analysis) -> None:
        folder = save(kto, tmp_path / "out")
        with pytest.raises(FileExistsError, match="overwrite"):
            save(kto, folder)
        (folder / "mine.txt").write_text("notes of the user")
        save(kto, folder, overwrite=True, table="parquet")
        assert (folder / "mine.txt").read_text() == "notes of the user"
        assert (folder / "cells.parquet").exists() and not (folder / "cells.csv").exists()
        same(kto, load(folder))

    def test_folders_of_others_are_never_replaced(self, tmp_path: Path, kto: Analysis) -> None:
        (tmp_path / "documents").mkdir()
        (tmp_path / "documents" / "thesis.tex").write_text("years of work")
        (tmp_path / "file").write_text("x")
        for name in ("documents", "file"):
            with pytest.raises(FileExistsError, match="no result"):
                save(kto, tmp_path / name, overwrite=True)
            with pytest.raises(FileExistsError, match="no result"):
                save_failure(tmp_path / name, ValueError("x"), "find")
        assert (tmp_path / "documents" / "thesis.tex").read_text() == "years of work"

    def test_failure(self, tmp_path: Path, kto: Analysis) -> None:
        folder = save_failure(tmp_path / "out", ReadError("a.tif is\nempty"), "read")
        assert os.listdir(folder) == ["failure.json"]
        found = json.loads((folder / "failure.json").read_text())
        assert found == {"class": "ReadError", "sentence": "a.tif is empty", "stage": "read", "key": None}
        with pytest.raises(ReadError, match=r"a\.tif is empty"):
            load(folder)
        same(kto, load(save(kto, folder)))
        assert "failure.json" not in os.listdir(folder)
        save_failure(folder, ReadError("gone"), "read")
        assert os.listdir(folder) == ["failure.json"]

    def test_newer_format(self, tmp_path: Path, kto: Analysis) -> None:
        folder = save(kto, tmp_path / "out")
        record = json.loads((folder / "result.json").read_text())
        (folder / "result.json").write_text(json.dumps(record | {"format": 2, "stemdisp": "9.0"}))
        with pytest.raises(ReadError, match=r"format 2.*9\.0.*update"):
            load(folder)

    @pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": "x"}'])
    def test_damaged_record(self, tmp_path: Path, kto: Analysis, content: str) -> None:
        folder = save(kto, tmp_path / "out")
        (folder / "result.json").write_text(content)
        with pytest.raises(ReadError, match="damaged"):
            load(folder)

    def test_incomplete(self, tmp_path: Path, kto: Analysis) -> None:
        with pytest.raises(ReadError, match=r"result\.json is missing"):
            load(tmp_path)
        folder = save(kto, tmp_path / "out")
        (folder / "result.json").unlink()
        with pytest.raises(ReadError, match=r"result\.json is missing"):
            load(folder)
        save(kto, folder)
        (folder / "analysis.npz").unlink()
        with pytest.raises(ReadError, match=r"analysis\.npz is missing"):
            load(folder)

    def test_long_names(self, tmp_path: Path) -> None:
        for name in ("x" * 255, "\u00e9" * 127):
            assert save(bare(), tmp_path / name).is_dir()

    def test_read_only_parent(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("x")
        with pytest.raises(StemdispError, match="cannot be written"):
            save(bare(), tmp_path / "file" / "out")

    def test_unknown_table(self, tmp_path: Path) -> None:
        with pytest.raises(RecipeError, match="csv or parquet"):
            save(bare(), tmp_path / "out", table="xls")  # type: ignore[arg-type]


CONTRACT = {
    "columns": "column, site, h, k, signal, x_px, y_px, x_std_px, y_std_px, x_nm, y_nm, amplitude, sigma_x_px, "
    "sigma_y_px, angle_deg, background, residual, flags",
    "cells": "cell, h, k, x_px, y_px, dx_pm, dy_pm, dx_std_pm, dy_std_pm, magnitude_pm, angle_deg, normal_pm, "
    "parallel_pm, px_uC_cm2, py_uC_cm2, layer, distance_nm, significant, flags",
    "layers": "layer, distance_nm, n, normal_pm, normal_sem_pm, parallel_pm, parallel_sem_pm, magnitude_pm, "
    "polarization_uC_cm2, coherence, p_value, o_contrast, o_contrast_sem, vacancy_rich",
}


class TestTables:
    @pytest.mark.parametrize("name", list(CONTRACT))
    def test_contract(self, tmp_path: Path, kto: Analysis, name: str) -> None:
        expected = CONTRACT[name].split(", ")
        for analysis in (kto, bare()):
            folder = save(analysis, tmp_path / analysis.micrograph.name)
            head = (folder / f"{name}.csv").read_text().splitlines()[0].split(",")
            assert head[: len(expected)] == expected
            assert len(set(head)) == len(head)
        assert len(rows_of(tmp_path / "bare" / f"{name}.csv")) == 0

    def test_columns(self, tmp_path: Path, kto: Analysis) -> None:
        columns = kto.columns
        assert columns is not None
        rows = rows_of(save(kto, tmp_path / "out") / "columns.csv")
        assert len(rows) == len(columns)
        for i in (0, 7, len(rows) - 1):
            row = rows[i]
            assert row["column"] == str(i)
            assert row["site"] == columns.sites[columns.site[i]]
            assert (int(row["h"]), int(row["k"])) == tuple(columns.hk[i])
            assert row["signal"] == "HAADF"
            assert float(row["x_px"]) == pytest.approx(columns.xy[i, 0], rel=1e-9)
            assert float(row["y_nm"]) == pytest.approx(columns.xy[i, 1] * 0.012, rel=1e-9)
            assert float(row["x_std_px"]) == pytest.approx(0.05)
            assert row["sigma_x_px"] == row["background"] == ""
            assert flags.parse(row["flags"]) == columns.flags[i]

    def test_anisotropic_pixels(self, kto: Analysis) -> None:
        assert kto.columns is not None
        analysis = kto.having(micrograph=kto.micrograph.with_pixel_size(PixelSize(10, 20, "user")))
        table = tables.columns_table(analysis)
        np.testing.assert_allclose(table["x_nm"], kto.columns.xy[:, 0] * 0.01)
        np.testing.assert_allclose(table["y_nm"], kto.columns.xy[:, 1] * 0.02)

    def test_without_pixel_size_and_lattice(self, tmp_path: Path) -> None:
        peaks = Columns.at(np.array([[1.0, 2.0], [3.0, 4.0]]), signals=("HAADF",))
        rows = rows_of(save(bare().having(peaks=peaks), tmp_path / "out") / "columns.csv")
        assert [row["x_px"] for row in rows] == ["1", "3"]
        for name in ("site", "h", "k", "x_nm", "x_std_px", "amplitude", "flags"):
            assert {row[name] for row in rows} == {""}, name

    def test_cells(self, tmp_path: Path, kto: Analysis) -> None:
        cells, moved, edge = kto.cells, kto.displacement, kto.interface
        assert cells is not None and moved is not None and edge is not None
        rows = rows_of(save(kto, tmp_path / "out") / "cells.csv")
        assert len(rows) == len(cells)
        for i, row in enumerate(rows):
            assert row["layer"] == str(edge.layer[i]), "layers are numbered even where the reference is incomplete"
            if not moved.valid[i]:
                for name in ("x_px", "dx_pm", "magnitude_pm", "angle_deg", "normal_pm", "significant"):
                    assert row[name] == "", name
                assert "INCOMPLETE" in row["flags"]
                continue
            dx, dy = float(row["dx_pm"]), float(row["dy_pm"])
            assert dx == pytest.approx(moved.uv[i, 0], rel=1e-9)
            assert float(row["magnitude_pm"]) == pytest.approx(np.hypot(dx, dy), rel=1e-9)
            assert float(row["angle_deg"]) == pytest.approx(np.degrees(np.arctan2(-dy, dx)), rel=1e-9)
            assert float(row["normal_pm"]) == pytest.approx(-dy, rel=1e-9), "the normal points up"
            assert float(row["parallel_pm"]) == pytest.approx(dx, rel=1e-9), "normal up: parallel right"
            assert row["significant"] == str(int(moved.significant[i]))
            assert float(row["p_normal_uC_cm2"]) == pytest.approx(-float(row["py_uC_cm2"]), rel=1e-9)
            assert float(row["p_parallel_uC_cm2"]) == pytest.approx(float(row["px_uC_cm2"]), rel=1e-9)
        assert {"p_normal_uC_cm2", "p_parallel_uC_cm2"} < set(rows[0]) and list(rows[0])[-1] == "side"

    @pytest.mark.parametrize(
        ("uv", "angle"), [((1, 0), "0"), ((0, -1), "90"), ((-1, 0), "180"), ((-1, -0.0), "180"), ((0, 1), "-90")]
    )
    def test_angles_are_as_seen(self, tmp_path: Path, kto: Analysis, uv: tuple[float, float], angle: str) -> None:
        assert kto.cells is not None
        n = len(kto.cells)
        field = VectorField("pm", kto.cells.xy, np.tile(np.array(uv, float), (n, 1)), np.zeros((n, 2, 2)))
        rows = rows_of(save(kto.having(displacement=field), tmp_path / "out") / "cells.csv")
        assert {row["angle_deg"] for row in rows} == {angle}

    def test_stages_that_did_not_run_are_empty(self, tmp_path: Path, kto: Analysis) -> None:
        analysis = kto.having(displacement=None, polarization=None, sides=())
        folder = save(analysis, tmp_path / "out")
        rows = rows_of(folder / "cells.csv")
        for name in ("dx_pm", "px_uC_cm2", "layer", "distance_nm", "significant", "normal_pm"):
            assert {row[name] for row in rows} == {""}, name
        assert rows_of(folder / "layers.csv") == []

    def test_layers(self, tmp_path: Path, kto: Analysis) -> None:
        assert kto.profile is not None
        rows = rows_of(save(kto, tmp_path / "out") / "layers.csv")
        for name, values in kto.profile.arrays().items():
            read = [float(row[name]) if row[name] else np.nan for row in rows]
            np.testing.assert_allclose(read, values, rtol=1e-9, equal_nan=True)

    def test_ellipses_lie_in_half_a_turn(self, kto: Analysis) -> None:
        assert kto.columns is not None
        angles = np.resize([-1e-17, 0.0, 180.0, 359.0, -90.0, np.nan], len(kto.columns))
        table = tables.columns_table(kto.having(columns=kto.columns.replace(angle_deg=angles)))
        np.testing.assert_array_equal(table["angle_deg"][:6], [0.0, 0.0, 0.0, 179.0, 90.0, np.nan])

    def test_no_text_nan(self, tmp_path: Path, hard: Analysis) -> None:
        folder = save(hard, tmp_path / "out")
        for name in CONTRACT:
            assert "nan" not in (folder / f"{name}.csv").read_text().lower()
        for name in ("summary.json", "result.json"):
            json.loads((folder / name).read_text(), parse_constant=pytest.fail)

    def test_external_profiles_follow_the_layers(self, tmp_path: Path, eels: Analysis) -> None:
        (one,) = eels.external
        twice = eels.having(external=(one, dataclasses.replace(one, name="=HYPERLINK()")))
        rows = rows_of(save(twice, tmp_path / "out") / "layers.csv")
        assert list(rows[0])[-4:] == ["external", "external_error", "external_2", "external_2_error"]
        for row, value, error in zip(rows, one.at_layers, one.at_layers_error, strict=True):
            assert (row["external"] == "") == np.isnan(value) == (row["external_error"] == "")
            assert row["external"] == "" or float(row["external"]) == pytest.approx(value, rel=1e-9)
            assert row["external"] == "" or float(row["external_error"]) == pytest.approx(error, rel=1e-9)

    def test_parquet(self, tmp_path: Path, kto: Analysis) -> None:
        parquet = pytest.importorskip("pyarrow.parquet")
        folder = save(kto, tmp_path / "out", table="parquet")
        for name, make in tables.TABLES.items():
            found = parquet.read_table(folder / f"{name}.parquet")
            for column, values in make(kto).items():
                got = found[column]
                missing = np.ma.getmaskarray(values).copy()
                if values.dtype.kind == "f":
                    missing |= np.isnan(values)
                assert [value is None for value in got.to_pylist()] == missing.tolist(), column
                kept = [value for value in got.to_pylist() if value is not None]
                assert kept == np.ma.getdata(values)[~missing].tolist(), column

    def test_parquet_schema_does_not_depend_on_content(self, tmp_path: Path, kto: Analysis) -> None:
        parquet = pytest.importorskip("pyarrow.parquet")
        full, empty = save(kto, tmp_path / "a", table="parquet"), save(bare(), tmp_path / "b", table="parquet")
        for name in CONTRACT:
            first, second = (parquet.read_schema(folder / f"{name}.parquet") for folder in (full, empty))
            if name != "layers":  # an analysis without layers does not know their types
                assert all(first.field(column).type == second.field(column).type for column in second.names)

    @given(
        hnp.arrays(np.float64, st.integers(0, 20), elements=st.floats(width=64)),
        st.lists(st.text(max_size=8), max_size=20),
    )
    def test_csv_round_trip(
        self, tmp_path_factory: pytest.TempPathFactory, numbers: np.ndarray, texts: list[str]
    ) -> None:
        n = min(len(numbers), len(texts))
        texts = [text.replace("\x00", "").encode("utf-8", "ignore").decode() for text in texts[:n]]
        path = tmp_path_factory.mktemp("csv") / "a.csv"
        table = {"n": np.arange(n), "x": numbers[:n], "t": np.array(texts, dtype=object)}
        tables.write_csv(table, path)
        rows = rows_of(path)
        assert len(rows) == n
        for row, number, text in zip(rows, numbers, texts, strict=False):
            if math.isfinite(number):
                assert float(row["x"]) == pytest.approx(number, rel=1e-9, abs=0)
            else:
                assert row["x"] == ""
            assert row["t"].removeprefix("'") == text.removeprefix("'")
            assert not row["t"].startswith(tables.RISKY)

    def test_negative_numbers_are_numbers(self, tmp_path: Path) -> None:
        tables.write_csv(
            {"=x": np.array([-1.5, -0.0]), "t": np.array(["-1", "@a,b"], dtype=object)}, tmp_path / "a.csv"
        )
        assert (tmp_path / "a.csv").read_text() == "'=x,t\n-1.5,'-1\n0,\"'@a,b\"\n"


class TestSummary:
    def test_content(self, tmp_path: Path, kto: Analysis) -> None:
        found = json.loads((save(kto, tmp_path / "out") / "summary.json").read_text())
        assert kto.columns is not None and kto.lattice is not None and kto.cells is not None
        assert found["counts"]["found"] == len(kto.columns)
        assert found["counts"]["assigned"] == len(kto.columns)
        assert found["counts"]["sites"]["K"]["refined"] == int(kto.columns.of_site("K").sum())
        assert found["counts"]["flags"] == {"PREDICTED": 3, "WEAK": int((kto.columns.flags & 4 > 0).sum())}
        assert found["calibration"]["pixel_size_file_pm"] == [12.0, 12.0]
        np.testing.assert_allclose(found["calibration"]["pixel_size_lattice_pm"], [12, 12])
        assert found["lattice"]["a_nm"] == pytest.approx(np.linalg.norm(kto.lattice.a) * 0.012)
        assert found["reference"]["offset_pm"] == [5.2, -3.1]
        assert found["precision"]["std_pm"]["K"] == pytest.approx([0.6, 0.6])
        assert found["interface"]["normal"] == [0.0, -1.0]
        assert found["warnings"] == list(kto.warnings)
        assert found["inputs"]["KTO111_ABF.tif"] == "cd" * 32

    def test_vacancies_and_external_profiles(self, tmp_path: Path, eels: Analysis) -> None:
        nothing = np.full(len(eels.profile), np.nan)
        seen = on_side(eels, vacancies=Vacancies(*(nothing,) * 6, "by hand"))
        found = json.loads((save(seen, tmp_path / "out") / "summary.json").read_text())
        assert found["oxygen"]["vacancy_rich_layers"] == [0, 1, 2]
        np.testing.assert_allclose(found["oxygen"]["window_nm"], eels.vacancy_windows_nm)
        (one,) = found["external"]
        assert (one["name"], one["unit"], one["rows"]) == ("Ti3+ share, EELS", "%", 13)
        assert one["range_nm"] == pytest.approx([-0.4, 2.0])
        assert (one["layers_covered"], one["layers"]) == (9, len(eels.profile))
        assert one["with_o_contrast"]["rho"] == pytest.approx(-1) and one["with_o_contrast"]["n"] == 9
        assert 0 < one["with_displacement"]["p_value"] < 0.05
        full = on_side(seen.having(external=()), profile=dataclasses.replace(eels.profile, vacancy_rich=nothing))
        found = json.loads((save(full, tmp_path / "full") / "summary.json").read_text())
        assert found["external"] == [] and found["oxygen"]["window_nm"] == []

    def test_maps(self, tmp_path: Path, kto: Analysis) -> None:
        found = json.loads((save(kto, tmp_path / "out") / "summary.json").read_text())["maps"]
        assert kto.maps is not None
        strain = kto.maps.exx_percent[np.isfinite(kto.maps.exx_percent)]
        one = found["exx_percent"]
        assert one["cells"] == len(strain) and one["median"] == pytest.approx(np.median(strain))
        assert one["mean_absolute_deviation"] == pytest.approx(np.abs(strain - np.median(strain)).mean())
        assert "c_over_a" not in found and any("c/a is left out" in said for said in found["sentences"])
        assert found["bulk_cells"] == int(kto.displacement.offset_cells.sum())
        with (tmp_path / "out" / "cells.csv").open(encoding="utf-8") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
        assert list(reader.fieldnames)[-1 - len(NAMES) :] == [*NAMES, "side"]
        read = np.array([float(row["exx_percent"] or "nan") for row in rows])
        np.testing.assert_allclose(read, kto.maps.exx_percent, rtol=1e-10)
        assert {row["c_over_a"] for row in rows} == {""}
        empty = tables.cells_table(kto.having(maps=None))
        assert list(empty) == list(reader.fieldnames) and np.isnan(empty["exx_percent"]).all()

    def test_domains(self, tmp_path: Path, kto: Analysis) -> None:
        vortex = Vortex(np.array([10.0, 20.0]), np.full(2, np.nan), 1, "clockwise")
        points = np.array([[30.0, 40.0], [30.0, 60.0]])
        wall = Wall(points, points.mean(axis=0), np.array([1.0, 0.0]), 0.02, 0.05, 0.5, math.nan, 6.0)
        seen = kto.having(domains=Domains((vortex,), (wall,), np.array([0.0, 1.0]), "by hand"))
        same(seen, load(save(seen, tmp_path / "out")))
        found = json.loads((tmp_path / "out" / "summary.json").read_text())["domains"]
        (one,), (other,) = found["vortices"], found["walls"]
        assert (one["xy_px"], one["std_px"], one["charge"], one["sense"]) == ([10, 20], [None, None], 1, "clockwise")
        assert (other["rows"], other["point_px"], other["normal"]) == (2, [30, 50], [1, 0])
        assert other["width_nm"] == 0.5 and other["width_std_nm"] is None and found["sentence"] == "by hand"

    def test_file_pixel_size_survives_the_users(self, tmp_path: Path, hard: Analysis) -> None:
        found = json.loads((save(hard, tmp_path / "out") / "summary.json").read_text())["calibration"]
        assert found["pixel_size_from"] == "user"
        assert found["pixel_size_pm"] == [9.1234567890123, 11.0]
        assert found["pixel_size_file_pm"] == [9.0, 11.5]

    def test_nothing_known(self, tmp_path: Path) -> None:
        found = json.loads((save(bare(), tmp_path / "out") / "summary.json").read_text())
        assert found["lattice"] is None and found["interface"] is None
        assert found["counts"] == {"found": None}
        assert found["reference"]["offset_pm"] is None and found["reference"]["why_none"]

    def test_no_offset_says_why(self, tmp_path: Path, kto: Analysis) -> None:
        assert kto.displacement is not None
        moved = dataclasses.replace(kto.displacement, offset=None, offset_std=None)
        found = json.loads((save(kto.having(displacement=moved), tmp_path / "out") / "summary.json").read_text())
        assert "bulk" in found["reference"]["why_none"]


class TestRecipe:
    def test_round_trip(self, tmp_path: Path, hard: Analysis) -> None:
        for original in (recipe.for_material("KTaO3", "1-10"), hard.recipe):
            path = tmp_path / "recipe.toml"
            path.write_text(to_toml(original), encoding="utf-8")
            back = recipe.load(path)
            assert back == original
            assert back.digest() == original.digest()

    def test_every_field_is_explained(self) -> None:
        text = to_toml(recipe.for_material("KTaO3", "1-10"))
        for name, section in recipe.Recipe.model_fields.items():
            fields = getattr(section.annotation, "model_fields", {})
            if fields:
                assert f"[{name}]" in text
            for key, field in fields.items():
                assert f"# {describe(field)}\n" in text
                assert f"\n{key} = " in text or f"\n# {key} =" in text

    def test_ranges_and_units(self) -> None:
        fields = recipe.FindSection.model_fields
        assert describe(fields["separation"]).endswith("[px; above 1, at most 500]")
        assert describe(recipe.RefineSection.model_fields["weights"]).endswith("[auto | poisson | uniform]")

    @given(st.floats(0.01, 0.95), st.floats(1e-6, 0.05), st.integers(2, 200))
    def test_numbers_round_trip(
        self, tmp_path_factory: pytest.TempPathFactory, threshold: float, tolerance: float, most: int
    ) -> None:
        changes = {"find": {"threshold": threshold}, "refine": {"tolerance": tolerance, "max_iterations": most}}
        original = recipe.for_material("KTaO3", "001").with_values(changes)
        path = tmp_path_factory.mktemp("recipe") / "recipe.toml"
        path.write_text(to_toml(original), encoding="utf-8")
        assert recipe.load(path).digest() == original.digest()
