"""Commands as a user types them: what is printed where, and the exit codes."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

import stemdisp
from stemdisp import recipe as recipes
from stemdisp.batch.lock import LOCK
from stemdisp.cli import app
from stemdisp.errors import StageError
from stemdisp.io.provenance import sha256

ROOT = Path(stemdisp.__file__).parents[1]
KTO = ["--material", "KTaO3", "--zone", "1-10"]
HOSTILE = ["<script>x", "[red]x", "=cmd()", "a b \u00e9\u753b", "x\ny\x1b[31m", "-dash"]


def stemdisp_(*arguments):
    """Run in this process; the result has exit_code, stdout and stderr."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def subprocess_(*arguments, **more):
    command = [sys.executable, "-m", "stemdisp.cli", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)}, **more
    )


def image(path, pixel_nm=0.012, seed=0):
    """A small TIFF with (or without) ImageJ's calibration."""
    pixels = np.random.default_rng(seed).poisson(100, (64, 72)).astype(np.uint16)
    if pixel_nm is None:
        tifffile.imwrite(path, pixels)
    else:
        tifffile.imwrite(path, pixels, imagej=True, resolution=(1 / pixel_nm,) * 2, metadata={"unit": "nm"})
    return path


@pytest.fixture
def pipeline(monkeypatch, kto):
    """Stages that find the analysis made by hand in every image; ``calls`` holds the names they were given."""
    stages, calls = ("find", "refine", "layers"), []

    def steps(micrograph, recipe, start=None, device="auto"):
        calls.append(micrograph.name)
        yield "find", replace(kto, micrograph=micrograph, recipe=recipe)
        if "bad" in micrograph.name:
            raise StageError("no lattice found; look at the image")
        if "bug" in micrograph.name:
            raise ZeroDivisionError("by\nzero")
        if "stop" in micrograph.name:
            raise KeyboardInterrupt
        if "term" in micrograph.name:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)
        for stage in stages[1:]:
            yield stage, replace(kto, micrograph=micrograph, recipe=recipe)

    monkeypatch.setattr("stemdisp.pipeline.STAGES", dict.fromkeys(stages))
    monkeypatch.setattr("stemdisp.pipeline.steps", steps)
    return SimpleNamespace(calls=calls)


def run(*arguments):
    return stemdisp_("run", *KTO, "--no-figures", "--jobs", 0, *arguments)


def test_help_and_version_are_quick_and_load_nothing_heavy():
    code = (
        "import sys, time; t = time.process_time(); sys.argv = ['stemdisp', {!r}]\n"
        "try:\n    from stemdisp.cli import main; main()\nexcept SystemExit: pass\n"
        "print([m for m in ('numpy', 'scipy', 'matplotlib', 'pydantic', 'rich', 'tifffile') if m in sys.modules])"
    )
    for option, expected in (("--help", "inspect"), ("--version", stemdisp.__version__)):
        done = subprocess.run(
            [sys.executable, "-c", code.format(option)],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONPATH": str(ROOT)},
        )
        assert expected in done.stdout and done.stdout.splitlines()[-1] == "[]"


def test_recipe_prints_toml_that_check_accepts(tmp_path):
    printed = stemdisp_("recipe", "KTaO3", "--zone", "1-10")
    assert printed.exit_code == 0
    path = tmp_path / "r.toml"
    path.write_text(printed.stdout)
    checked = stemdisp_("check", path)
    assert checked.exit_code == 0 and recipes.for_material("KTaO3", "1-10").digest() in checked.stdout
    assert stemdisp_("recipe", "KTaO3", "--zone", "1-10", "-o", path).exit_code == 2
    assert path.read_text() == printed.stdout


@pytest.mark.parametrize(
    ("text", "sentence"),
    [("[assign]\ntolerence = 0.3", "did you mean tolerance?"), ("= 3", "not TOML"), ("[find]\nthreshold = 7", "0.95")],
)
def test_check_says_what_is_wrong_in_one_line(tmp_path, text, sentence):
    (tmp_path / "r.toml").write_text(text)
    checked = stemdisp_("check", tmp_path / "r.toml")
    assert checked.exit_code == 2 and checked.stdout == ""
    assert checked.stderr.startswith("error: ") and sentence in checked.stderr and checked.stderr.count("\n") == 1


def results(out):
    """Names of the result folders; what is hidden is the batch's own."""
    return sorted(path.name for path in out.iterdir() if not path.name.startswith("."))


def test_run_writes_the_contract(tmp_path, pipeline):
    image(tmp_path / "a.tif")
    done = stemdisp_("run", tmp_path / "a.tif", *KTO, "-j", 0, "-o", tmp_path / "out")
    assert done.exit_code == 0, done.stderr
    folder = tmp_path / "out" / "a"
    names = {path.name for path in folder.iterdir()}
    tables = {"columns.csv", "cells.csv", "layers.csv"}
    assert names >= {*tables, "summary.json", "recipe.toml", "report.html", "figures", "result.json"}
    assert {path.name for path in (folder / "figures").iterdir()} >= {
        "displacement.png",
        "displacement.svg",
        "layers.png",
    }
    outputs = json.loads((folder / "result.json").read_text())["outputs"]
    assert "report.html" in outputs and "figures/layers.png" in outputs
    assert done.stdout.count("\n") == 1 and done.stdout.startswith("a: ") and "strongest layer 1" in done.stdout
    assert str(folder / "report.html") in done.stdout
    assert "[1/1] a (new): done in" in done.stderr and "\x1b" not in done.stderr
    assert not (tmp_path / "out" / LOCK).exists()


def test_pairs_are_one_result(tmp_path, pipeline):
    image(tmp_path / "KTO_HAADF.tif")
    image(tmp_path / "KTO_ABF.tif", seed=1)
    assert run(tmp_path, "-o", tmp_path / "out").exit_code == 0
    assert results(tmp_path / "out") == ["KTO"]


def test_one_failing_file_does_not_stop_the_others(tmp_path, pipeline):
    for name in ("a", "bad", "bug", "z"):
        image(tmp_path / f"{name}.tif")
    (tmp_path / "empty.tif").write_bytes(b"")
    done = run(tmp_path, "-o", tmp_path / "out")
    assert done.exit_code == 1
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == ["a", "z"]
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 3 and "Traceback" not in done.stderr
    assert "error: bad: refine: no lattice found; look at the image" in errors
    for name, kind in (("bad", "StageError"), ("bug", "ZeroDivisionError"), ("empty", "ReadError")):
        folder = tmp_path / "out" / name
        assert [path.name for path in folder.iterdir()] == ["failure.json"]
        failure = json.loads((folder / "failure.json").read_text())
        assert failure["class"] == kind and "\n" not in failure["sentence"]
        assert failure["stage"] == ("read" if name == "empty" else "refine")


def test_a_batch_ends_with_a_page_over_all_images(tmp_path, pipeline):
    first, second, out = image(tmp_path / "a.tif"), image(tmp_path / "bad.tif", seed=1), tmp_path / "out"
    assert run(first, "-o", out).exit_code == 0 and not (out / "index.html").exists()
    done = run(first, second, "-o", out)
    assert done.exit_code == 1 and done.stderr.splitlines()[-1] == str(out / "index.html")
    written = (out / "index.html").read_bytes()
    assert b"bad" in written and b"no lattice found" in written
    (out / "index.html").unlink()
    assert "index.html" not in run(first, second, "-o", out).stderr and not (out / "index.html").exists()
    assert stemdisp_("report", out).stdout == f"{out / 'index.html'}\n"
    assert (out / "index.html").read_bytes() == written


def test_a_page_that_cannot_be_written_fails_no_run(tmp_path, pipeline):
    first, second, out = image(tmp_path / "a.tif"), image(tmp_path / "b.tif", seed=1), tmp_path / "out"
    out.mkdir()
    (out / "index.html").write_text("mine")
    done = run(first, second, "-o", out)
    assert done.exit_code == 0 and (out / "index.html").read_text() == "mine"
    assert done.stderr.splitlines()[-1].startswith("no page over all images: ")
    assert "is no page of stemdisp" in done.stderr and "Traceback" not in done.stderr


def test_what_is_done_is_not_done_again(tmp_path, pipeline):
    first, second = image(tmp_path / "a.tif"), image(tmp_path / "b.tif", seed=1)
    out = tmp_path / "out"
    assert run(first, second, "-o", out).exit_code == 0
    written = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    again = run(first, second, "-o", out)
    assert again.exit_code == 0 and again.stdout.count("already done") == 2
    assert pipeline.calls == ["a", "b"]
    own = {path for path in written if ".stemdisp" in path.parts} | {out}
    assert {path: path.stat().st_mtime_ns for path in written.keys() - own} == {
        path: time for path, time in written.items() if path not in own
    }


@pytest.mark.parametrize("change", ["input", "recipe", "output", "lost", "force", "table", "figures"])
def test_what_changed_is_done_again_and_said(tmp_path, pipeline, change):
    path, out = image(tmp_path / "a.tif"), tmp_path / "out"
    assert run(path, "-o", out).exit_code == 0
    options, reason = [], {"output": "outputs changed", "lost": "outputs missing", "force": "forced"}.get(change)
    if change == "input":
        image(path, seed=9)
        reason = "input changed"
    if change == "recipe":
        options, reason = ["--pixel-size", "13"], "image.pixel_size changed"
    if change == "output":
        (out / "a" / "cells.csv").write_text("edited")
    if change == "lost":
        (out / "a" / "cells.csv").unlink()
    if change == "force":
        options = ["--force"]
    if change == "table":
        options, reason = ["--table", "parquet"], "outputs missing"
    if change == "figures":
        options, reason = ["--figures"], "outputs missing"
    again = run(path, "-o", out, *options)
    assert again.exit_code == 0 and f"({reason})" in again.stderr
    assert pipeline.calls == ["a", "a"]


def test_what_failed_stands_until_asked_or_changed(tmp_path, pipeline):
    path, out = image(tmp_path / "bad.tif"), tmp_path / "out"
    assert run(path, "-o", out).exit_code == 1
    stands = run(path, "-o", out)
    assert stands.exit_code == 1 and "error: bad: failed before: refine: no lattice found" in stands.stderr
    assert pipeline.calls == ["bad"]
    again = run(path, "-o", out, "--retry-failed")
    assert again.exit_code == 1 and "(failed before)" in again.stderr
    image(path, seed=3)
    changed = run(path, "-o", out)
    assert changed.exit_code == 1 and "(failed before; input or recipe changed)" in changed.stderr
    assert pipeline.calls == ["bad"] * 3


def test_no_pixel_size_is_a_sentence(tmp_path, pipeline):
    done = run(image(tmp_path / "PTO.tif", pixel_nm=None), "-o", tmp_path / "out")
    assert done.exit_code == 1
    assert "PTO.tif has no pixel size; pass --pixel-size in pm or lattice, or set [image] pixel_size" in done.stderr
    assert json.loads((tmp_path / "out/PTO/failure.json").read_text())["class"] == "CalibrationError"


@pytest.mark.parametrize(("given", "expected"), [("12", [12.0, 12.0]), ("12,13.5", [12.0, 13.5]), ("lattice", None)])
def test_a_pixel_size_can_be_given(tmp_path, pipeline, given, expected):
    done = run(image(tmp_path / "PTO.tif", pixel_nm=None), "-o", tmp_path / "out", "--pixel-size", given)
    assert done.exit_code == 0, done.stderr
    section = recipes.load(tmp_path / "out/PTO/recipe.toml").image
    assert (list(section.pixel_size) if section.pixel_size else None) == expected
    assert section.pixel_size_from == ("lattice" if given == "lattice" else "file")


@pytest.mark.parametrize("options", [[], ["--material", "KTaO3"], ["--material", "Kryptonite", "--zone", "001"]])
def test_usage_errors_end_with_2(tmp_path, options):
    done = stemdisp_("run", image(tmp_path / "a.tif"), "-o", tmp_path / "out", *options)
    assert done.exit_code == 2 and done.stderr.startswith("error: ") and not (tmp_path / "out").exists()


@pytest.mark.parametrize("size", ["x", "1,2,3", "0", "nan", "-3"])
def test_impossible_pixel_sizes_end_with_2(tmp_path, size):
    done = run(image(tmp_path / "a.tif"), "-o", tmp_path / "out", "--pixel-size", size)
    assert done.exit_code == 2 and not (tmp_path / "out").exists()


def test_no_input_ends_with_3(tmp_path):
    (tmp_path / "notes.txt").write_text("")
    assert run(tmp_path, "-o", tmp_path / "out").exit_code == 3
    assert run(tmp_path / "nowhere", "-o", tmp_path / "out").exit_code == 3


def test_a_locked_folder_ends_with_4(tmp_path, pipeline):
    (tmp_path / LOCK).write_text(json.dumps({"pid": os.getppid(), "host": os.uname().nodename}))
    done = run(image(tmp_path / "a.tif"), "-o", tmp_path)
    assert done.exit_code == 4 and "used by another run" in done.stderr and pipeline.calls == []


@pytest.mark.parametrize(("name", "code"), [("stop", 130), ("term", 143)])
def test_interruption_keeps_what_is_finished(tmp_path, pipeline, name, code):
    paths = [image(tmp_path / f"{one}.tif") for one in ("a", name, "z")]
    done = run(*paths, "-o", tmp_path / "out")
    assert done.exit_code == code
    assert done.stderr.splitlines()[-1].startswith("error: ")
    assert results(tmp_path / "out") == ["a"]
    assert pipeline.calls == ["a", name]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_only_names(tmp_path, pipeline, name):
    folder = tmp_path / "in"
    folder.mkdir()
    image(folder / f"{name}.tif")
    done = run(folder, "-o", tmp_path / "out")
    assert done.exit_code == 0, done.stderr
    assert "\x1b" not in done.stdout + done.stderr and done.stdout.count("\n") == 1
    page = (tmp_path / "out" / name / "report.html").read_text()
    assert "<script" not in page
    shown = stemdisp_("inspect", *folder.iterdir()) if name[0] != "-" else None
    assert shown is None or (shown.exit_code == 0 and "\x1b" not in shown.stdout)
    if name == "[red]x":
        assert "[red]x" in done.stdout and "[red]x" in shown.stdout


def test_unexpected_errors_show_their_origin_with_debug_only(tmp_path, pipeline):
    path = image(tmp_path / "bug.tif")
    plain = run(path, "-o", tmp_path / "out")
    assert plain.exit_code == 1 and "unexpected ZeroDivisionError: by zero; --debug shows where" in plain.stderr
    debug = run(path, "-o", tmp_path / "out", "--debug")
    assert isinstance(debug.exception, ZeroDivisionError)


def test_a_foreign_folder_is_left_alone(tmp_path, pipeline):
    (tmp_path / "out" / "a").mkdir(parents=True)
    (tmp_path / "out" / "a" / "thesis.doc").write_text("precious")
    done = run(image(tmp_path / "a.tif"), "-o", tmp_path / "out")
    assert done.exit_code == 1 and "is no result of stemdisp" in done.stderr
    assert (tmp_path / "out" / "a" / "thesis.doc").read_text() == "precious"


def test_report_draws_again_and_touches_nothing_else(tmp_path, pipeline):
    out = tmp_path / "out"
    assert run(image(tmp_path / "a.tif"), "-o", out).exit_code == 0
    before = {path.name: path.read_bytes() for path in (out / "a").iterdir() if path.is_file()}
    record = json.loads(before["result.json"])
    (out / "a" / "mine.txt").write_text("note")
    done = stemdisp_("report", out / "a")
    assert done.exit_code == 0, done.stderr
    assert (out / "a" / "figures" / "layers.png").exists() and (out / "a" / "mine.txt").read_text() == "note"
    for name in before.keys() - {"result.json", "report.html"}:
        assert (out / "a" / name).read_bytes() == before[name]
    renewed = json.loads((out / "a" / "result.json").read_text())
    assert {**renewed, "outputs": None, "redrawn": None} == {**record, "outputs": None, "redrawn": None}
    assert "figures/layers.png" in renewed["outputs"]
    again = stemdisp_("run", tmp_path / "a.tif", *KTO, "-o", out)
    assert "already done" in again.stdout


def test_report_of_no_result_is_a_sentence(tmp_path):
    done = stemdisp_("report", tmp_path)
    assert done.exit_code == 1 and done.stderr.startswith("error: ") and done.stderr.count("\n") == 1


def test_inspect_shows_what_is_there_and_goes_on(tmp_path):
    (tmp_path / "bad.tif").write_bytes(b"II*\0")
    shown = stemdisp_(
        "inspect", tmp_path / "bad.tif", image(tmp_path / "good_ABF.tif"), image(tmp_path / "x.tif", None)
    )
    assert shown.exit_code == 1 and "bad.tif" in shown.stderr
    good = shown.stdout[shown.stdout.index("good_ABF.tif: TIFF") : shown.stdout.index("x.tif: TIFF")]
    for part in ("ABF", "72 x 64", "uint16", "12 pm", "would be analysed: ABF (#1)"):
        assert part in good
    assert "none" in shown.stdout[shown.stdout.index("x.tif: TIFF") :]


def test_simulate_writes_images_that_read_back_and_the_truth(tmp_path):
    made = stemdisp_(
        "simulate", "-o", tmp_path / "s" / "demo.tif", "--size", "96,80", "--pixel-size", "15", "--seed", "3"
    )
    assert made.exit_code == 0, made.stderr
    assert sorted(path.name for path in (tmp_path / "s").iterdir()) == [
        "demo_ABF.tif",
        "demo_HAADF.tif",
        "demo_truth.csv",
    ]
    micrograph = stemdisp.read(tmp_path / "s/demo_HAADF.tif", tmp_path / "s/demo_ABF.tif")
    assert micrograph.shape == (80, 96) and micrograph.pixel_size.x_pm == pytest.approx(15, rel=1e-6)
    lines = (tmp_path / "s/demo_truth.csv").read_text().splitlines()
    assert lines[0].startswith("site,h,k,x_px,y_px,dx_pm,dy_pm,layer") and len(lines) > 20


@pytest.mark.parametrize("options", [["--size", "8"], ["--zone", "111"], ["--pixel-size", "900"]])
def test_impossible_scenes_end_with_2(tmp_path, options):
    done = stemdisp_("simulate", "-o", tmp_path, *options)
    assert done.exit_code == 2 and done.stderr.startswith("error: ")


def test_as_a_program_it_ends_in_one_line(tmp_path):
    done = subprocess_("check", tmp_path / "none.toml")
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and done.stderr.startswith("error: ")
    assert subprocess_("frobnicate").returncode == 2


PROFILE = "distance (nm),O K edge (counts),error\n-0.5,10,1\n0.5,20,1\n3,25,2\n"


def test_a_profile_goes_into_the_recipe_of_its_image(tmp_path, pipeline):
    (tmp_path / "in").mkdir()
    first, _ = image(tmp_path / "in/a_HAADF.tif"), image(tmp_path / "in/a_ABF.tif", seed=1)
    (tmp_path / "eels.csv").write_text(PROFILE)
    (tmp_path / "other.csv").write_text(PROFILE.replace("O K edge", "Ta M edge"))
    options = ["--profile", tmp_path / "eels.csv", "--profile", tmp_path / "other.csv"]
    done = run(tmp_path / "in", "-o", tmp_path / "out", *options)
    assert done.exit_code == 0, done.stderr
    written = recipes.load(tmp_path / "out/a/recipe.toml").profiles
    assert [one.name for one in written] == ["O K edge", "Ta M edge"]
    assert {one.sha256 for one in written} == {sha256(first)}
    assert written[0].error == (1.0, 1.0, 2.0)
    (tmp_path / "eels.csv").unlink()
    again = stemdisp_("run", "-j", 0, tmp_path / "in", "-o", tmp_path / "out", "-r", tmp_path / "out/a/recipe.toml")
    assert again.exit_code == 0 and "(outputs missing)" in again.stderr  # figures, and nothing else


def test_a_profile_of_several_images_is_refused(tmp_path, pipeline):
    (tmp_path / "eels.csv").write_text(PROFILE)
    images = [image(tmp_path / f"{name}.tif") for name in "abcd"]
    done = run(*images, "-o", tmp_path / "out", "--profile", tmp_path / "eels.csv")
    assert done.exit_code == 2 and not (tmp_path / "out").exists()
    assert "belongs to one image, and 4 are given (a, b, c ...)" in done.stderr


@pytest.mark.parametrize("content", [None, "", "0,1\n1,2\n", PROFILE.replace("20", "twenty")])
def test_a_profile_that_is_none_ends_with_2_before_anything_runs(tmp_path, pipeline, content):
    if content is not None:
        (tmp_path / "eels.csv").write_text(content)
    done = run(image(tmp_path / "a.tif"), "-o", tmp_path / "out", "--profile", tmp_path / "eels.csv")
    assert done.exit_code == 2 and done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    assert "eels.csv" in done.stderr and not pipeline.calls and not (tmp_path / "out").exists()


def test_a_dry_run_says_why_and_writes_nothing(tmp_path, pipeline):
    paths = [image(tmp_path / f"{name}.tif", seed=seed) for seed, name in enumerate(("a", "bad", "c"))]
    out = tmp_path / "out"
    dry = run(*paths, "-o", out, "--dry-run", "--limit", 2)
    assert dry.exit_code == 0 and not out.exists() and pipeline.calls == []
    assert dry.stdout.splitlines() == [
        "a: would be analysed (new)",
        "bad: would be analysed (new)",
        "c: would be analysed (new; beyond --limit)",
    ]
    assert run(*paths, "-o", out).exit_code == 1
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    dry = run(*paths, "-o", out, "--dry-run", "--set", "layers.minimum_cells=4", "--retry-failed")
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before
    assert dry.stdout.splitlines() == [
        "a: would be analysed (layers.minimum_cells changed)",
        "bad: would be analysed (failed before; input or recipe changed)",
        "c: would be analysed (layers.minimum_cells changed)",
    ]
    again = run(*paths, "-o", out, "--dry-run")
    assert "a: already done" in again.stdout and "bad: failed before: refine: no lattice found" in again.stdout


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("refine", "must be SECTION.KEY=VALUE"),
        ("refine.radius", "must be SECTION.KEY=VALUE"),
        ("refine.tolerances=3", "did you mean tolerance"),
        ("nothing.x=3", "unknown key"),
        ("layers.minimum_cells=0", "minimum_cells"),
        ("layers.minimum_cells=3\nformat=2", "one value at a time"),
    ],
)
def test_values_that_cannot_be_set_end_with_2(tmp_path, text, sentence):
    done = run(image(tmp_path / "a.tif"), "-o", tmp_path / "out", "--set", text)
    assert done.exit_code == 2 and sentence in done.stderr and not (tmp_path / "out").exists()


def test_values_are_set(tmp_path, pipeline):
    options = ["--set", "image.pixel_size=[12, 13]", "--set", "displacement.reference=none"]
    assert run(image(tmp_path / "a.tif"), "-o", tmp_path / "out", *options).exit_code == 0
    made = recipes.load(tmp_path / "out/a/recipe.toml")
    assert made.image.pixel_size == (12.0, 13.0) and made.displacement.reference == "none"


def test_folders_below_are_mirrored(tmp_path, pipeline):
    for name in ("in/a.tif", "in/sub/a.tif", "in/sub/skip.tif"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        image(tmp_path / name, seed=len(name))
    out = tmp_path / "in" / "out"
    done = run(tmp_path / "in", "-o", out, "--recursive", "--exclude", "skip*")
    assert done.exit_code == 0, done.stderr
    assert sorted(path.parent.relative_to(out).as_posix() for path in out.rglob("result.json")) == ["a", "sub/a"]
    again = run(tmp_path / "in", "-o", out, "--recursive", "--exclude", "skip*")
    assert again.stdout.count("already done") == 2 and pipeline.calls == ["a", "a"]
    inside = run(tmp_path / "in", "-o", tmp_path / "in")
    assert inside.exit_code == 2 and "is the folder of the images" in inside.stderr
    nothing = run(tmp_path / "in", "-o", out, "--include", "*.png")
    assert nothing.exit_code == 3 and "fits --include and --exclude" in nothing.stderr


def test_events_are_printed_as_json(tmp_path, pipeline):
    paths = [image(tmp_path / f"{name}.tif") for name in ("a", "bad")]
    done = run(*paths, "-o", tmp_path / "out", "--log-format", "jsonl")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.exit_code == 1 and [one["event"] for one in events] == ["run", "begin", "end", "begin", "end", "over"]
    assert events[1]["why"] == "new" and events[1]["inputs"] == [str(paths[0])]
    assert events[4]["status"] == "failed" and events[4]["class"] == "StageError" and events[4]["stage"] == "refine"
    kept = (tmp_path / "out" / ".stemdisp" / "log.jsonl").read_text()
    assert [json.loads(line) for line in kept.splitlines()] == events


def test_status_verify_and_clean(tmp_path, pipeline):
    out = tmp_path / "out"
    assert run(*(image(tmp_path / f"{name}.tif") for name in ("[red]a", "bad")), "-o", out).exit_code == 1
    listed = stemdisp_("status", out)
    assert listed.exit_code == 1 and "1 done, 1 failed" in listed.stdout and "[red]a" in listed.stdout
    assert "no lattice found" in listed.stdout and "\x1b" not in listed.stdout
    assert stemdisp_("verify", out).exit_code == 0
    stat = (out / "[red]a" / "cells.csv").stat()
    (out / "[red]a" / "cells.csv").write_bytes(b"x" * stat.st_size)
    os.utime(out / "[red]a" / "cells.csv", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    (out / "[red]a" / "layers.csv").unlink()
    broken = stemdisp_("verify", out)
    assert (
        broken.exit_code == 1 and "cells.csv was changed" in broken.stderr and "layers.csv is missing" in broken.stderr
    )
    (out / ".x.tmp-0123456789ab").mkdir()
    (out / "mine").mkdir()
    cleaned = stemdisp_("clean", out, "--failed")
    assert cleaned.exit_code == 0 and len(cleaned.stdout.splitlines()) == 2
    assert results(out) == ["[red]a", "index.html", "mine"]
    for command in ("status", "verify", "clean"):
        assert stemdisp_(command, tmp_path / "none").exit_code == 1


@pytest.mark.parametrize("jobs", ["x", "-1", "1.5", "5000", ""])
def test_impossible_numbers_of_jobs_end_with_2(tmp_path, jobs):
    done = run(image(tmp_path / "a.tif"), "-o", tmp_path / "out", f"--jobs={jobs}")
    assert done.exit_code == 2 and not (tmp_path / "out").exists()
