"""The shape of the house: which way imports go, what stands where, what start-up costs, what the public names are."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import stemdisp

ROOT = Path(__file__).parents[1]
LIBRARY = ROOT / "stemdisp"
FILES = sorted(LIBRARY.rglob("*.py"))

FLOORS = (
    ("errors",),
    ("backend", "flags", "materials", "pulse"),
    ("crystal", "fitting", "section"),
    ("dipole", "direction", "motion", "polarization_section", "profile_entry", "structure"),
    ("recipe",),
    ("model",),
    ("fitted", "focus", "scene"),
    ("edits", "io", "specimen", "stages"),
    ("interop", "positions"),
    ("bound", "figures", "patch", "pipeline", "repeats", "synthetic"),
    ("doctor", "elsewhere", "options", "report"),
    ("batch", "selftest"),
    ("cli",),
)
"""Modules and packages from the ground up; each may import from floors below its own."""

ONLY = {"fitting": {"backend", "errors", "pulse"}}
"""Packages that may import even less: the numerics know no microscopy."""

HOMES = {
    "PIL": ("report",),
    "ase": ("interop", "io"),
    "atomap": ("interop",),
    "cmcrameri": ("figures",),
    "cupy": ("backend", "fitting"),
    "dask": ("batch",),
    "distributed": ("batch",),
    "h5py": ("io",),
    "hyperspy": ("interop",),
    "jinja2": ("report",),
    "matplotlib": ("figures", "report"),
    "mpl_toolkits": ("figures",),
    "pandas": ("interop",),
    "pyarrow": ("io",),
    "rich": ("batch", "cli", "doctor"),
    "rsciio": ("io",),
    "tifffile": ("io",),
    "tomlkit": ("io",),
    "typer": ("cli",),
}
"""Packages of others, and the only places that import them."""

NOWHERE = {"dill", "cloudpickle", "joblib", "magicgui", "marshal", "napari", "pickle", "qtpy", "shelve"}
"""Packages that the library never imports: graphical ones, and those that run code found in files."""

CALLS = {"__import__", "breakpoint", "eval", "exec", "input", "print"}
"""Built-in functions that the library never calls: results are returned, the command line writes through typer."""

LONGEST_FILE, LONGEST_FUNCTION = 400, 60
"""Walls in lines; a function's docstring does not count."""

MOST_PARAMETERS, MOST_POSITIONAL = 8, 7

HEAVY = ("scipy", "matplotlib", "hyperspy", "pandas", "atomap", "skimage", "numba", "pyarrow", "h5py", "dask", "cupy")
"""Packages that start-up must not load."""


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _unit(path: Path) -> str:
    """The module or package directly below stemdisp that a file belongs to; stemdisp/__init__.py is ``stemdisp``."""
    first = path.relative_to(LIBRARY).parts[0]
    return "stemdisp" if first == "__init__.py" else first.removesuffix(".py")


def _imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and absolute dotted name of everything that a file imports, wherever in the file."""
    package = ("stemdisp", *path.relative_to(LIBRARY).parent.parts)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


def _own(path: Path) -> Iterator[tuple[int, str, list[str]]]:
    """Line, unit and full path of the imports of a file from stemdisp itself."""
    for line, name in _imports(path):
        parts = name.split(".")
        if parts[0] == "stemdisp" and len(parts) > 1 and parts[1] != "__version__":
            yield line, parts[1], parts[1:]


def _functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def _told(wrong: list[str]) -> str:
    return "\n" + "\n".join(wrong)


def test_every_module_stands_on_a_floor() -> None:
    units = {_unit(path) for path in FILES} - {"stemdisp"}
    assert units == {unit for floor in FLOORS for unit in floor}, "give new modules a floor in FLOORS"


def test_imports_go_down() -> None:
    level = {unit: number for number, floor in enumerate(FLOORS) for unit in floor}
    wrong = [
        f"{_name(path)}:{line}: {_unit(path)} imports {unit}, which is not below it"
        for path in FILES
        for line, unit, _ in _own(path)
        if _unit(path) not in ("stemdisp", unit) and level[unit] >= level[_unit(path)]
    ]
    assert not wrong, _told(wrong)


def test_numerics_know_no_microscopy() -> None:
    wrong = [
        f"{_name(path)}:{line}: {_unit(path)} imports {unit}"
        for path in FILES
        for line, unit, _ in _own(path)
        if _unit(path) in ONLY and unit != _unit(path) and unit not in ONLY[_unit(path)]
    ]
    assert not wrong, _told(wrong)


def test_no_stage_imports_another() -> None:
    wrong = [
        f"{_name(path)}:{line}: imports {'.'.join(parts)}"
        for path in FILES
        for line, unit, parts in _own(path)
        if _unit(path) == "stages" == unit and parts[1] != path.stem
    ]
    assert not wrong, _told(wrong)


def test_a_stage_is_one_public_function_with_the_name_of_its_module() -> None:
    wrong = []
    for path in sorted((LIBRARY / "stages").glob("[!_]*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        public = {
            node.name
            for node in tree.body
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
        }
        if path.stem not in public:
            wrong.append(f"{_name(path)}: has no function {path.stem}")
    assert not wrong, _told(wrong)


def test_packages_of_others_stay_in_their_rooms() -> None:
    wrong = []
    for path in FILES:
        for line, name in _imports(path):
            package = name.split(".")[0]
            where = HOMES.get(package, () if package in NOWHERE or package.startswith(("PyQt", "PySide")) else None)
            if where is not None and _unit(path) not in where:
                wrong.append(f"{_name(path)}:{line}: imports {name}, which belongs to {' or '.join(where) or 'nobody'}")
    assert not wrong, _told(wrong)


def test_nothing_prints_asks_or_runs_text() -> None:
    wrong = []
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            if isinstance(node.func, ast.Name) and node.func.id in CALLS:
                wrong.append(f"{_name(path)}:{node.lineno}: calls {node.func.id}")
            if any(
                key.arg == "allow_pickle" and not (isinstance(key.value, ast.Constant) and key.value.value is False)
                for key in node.keywords
            ):
                wrong.append(f"{_name(path)}:{node.lineno}: allow_pickle is not False")
            if ast.unparse(node.func) in ("np.load", "numpy.load") and "allow_pickle" not in {
                key.arg for key in node.keywords
            }:
                wrong.append(f"{_name(path)}:{node.lineno}: np.load must say allow_pickle=False")
    assert not wrong, _told(wrong)


def test_logging_goes_through_the_module_logger() -> None:
    wrong = []
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("logging."):
                call = ast.unparse(node)
                if call != "logging.getLogger(__name__)":
                    wrong.append(f"{_name(path)}:{node.lineno}: {call}")
    assert not wrong, _told(wrong)


def test_files_are_short_and_say_what_they_are() -> None:
    wrong = []
    for path in FILES:
        text = path.read_text(encoding="utf-8")
        lines = len(text.splitlines())
        if lines > LONGEST_FILE:
            wrong.append(f"{_name(path)}: {lines} lines, more than {LONGEST_FILE}: it does two things")
        if not ast.get_docstring(ast.parse(text)):
            wrong.append(f"{_name(path)}: no docstring")
        if path.stem in ("utils", "util", "helpers", "common", "misc"):
            wrong.append(f"{_name(path)}: name it after what it does")
    assert not wrong, _told(wrong)


def test_functions_are_short_and_take_few_parameters() -> None:
    wrong = []
    for path in FILES:
        for node in _functions(path):
            doc = node.body[0] if ast.get_docstring(node) else None
            lines = node.end_lineno - node.lineno + 1 if node.end_lineno else 0
            if doc is not None and doc.end_lineno:
                lines -= doc.end_lineno - doc.lineno + 1
            place = f"{_name(path)}:{node.lineno}: {node.name}"
            if lines > LONGEST_FUNCTION:
                wrong.append(f"{place} has {lines} lines, more than {LONGEST_FUNCTION}")
            if _unit(path) == "cli":  # the options of a command are the parameters of its function
                continue
            positional = [*node.args.posonlyargs, *node.args.args]
            names = [argument.arg for argument in positional if argument.arg not in ("self", "cls")]
            if len(names) + len(node.args.kwonlyargs) > MOST_PARAMETERS or len(names) > MOST_POSITIONAL:
                wrong.append(
                    f"{place} takes {len(names)} parameters by position and {len(node.args.kwonlyargs)} by keyword; at"
                    f" most {MOST_POSITIONAL}, {MOST_PARAMETERS} together"
                )
    assert not wrong, _told(wrong)


def test_flags_of_public_functions_are_passed_by_keyword() -> None:
    wrong = []
    for path in FILES:
        if _unit(path) == "cli":
            continue
        for node in _functions(path):
            if node.name.startswith("_"):
                continue
            for argument in [*node.args.posonlyargs, *node.args.args]:
                if argument.annotation is not None and ast.unparse(argument.annotation) == "bool":
                    wrong.append(f"{_name(path)}:{node.lineno}: {node.name}: {argument.arg} is a bool by position")
    assert not wrong, _told(wrong)


def test_public_names_are_what_is_visible() -> None:
    assert stemdisp.__all__ == sorted(set(stemdisp.__all__))
    assert dir(stemdisp) == stemdisp.__all__
    assert stemdisp.__version__ == json.loads(_run("import json, stemdisp; print(json.dumps(stemdisp.__version__))"))


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse((LIBRARY / "__init__.py").read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.asname or alias.name for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert seen | {"__version__"} == set(stemdisp.__all__)


@pytest.mark.parametrize("name", [name for name in stemdisp.__all__ if name != "__version__"])
def test_public_names_resolve_and_say_what_they_are(name: str) -> None:
    assert (getattr(stemdisp, name).__doc__ or "").strip(), f"{name} has no docstring"


def test_unknown_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="no attribute 'analyze'"):
        _ = stemdisp.analyze


def _run(code: str) -> str:
    """What a fresh interpreter prints, the last line of it."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
        timeout=120,
        cwd=ROOT,
    )
    return done.stdout.strip().splitlines()[-1]


REPORT = (
    "import json, os, sys; print(json.dumps([sorted(m for m in sys.modules if '.' not in m), sum(os.times()[:2])]))"
)


@pytest.mark.parametrize(
    ("what", "code"),
    [
        ("import stemdisp", "import stemdisp"),
        ("stemdisp --help", "import sys; sys.argv = ['stemdisp', '--help']\n{main}"),
        ("stemdisp run --help", "import sys; sys.argv = ['stemdisp', 'run', '--help']\n{main}"),
    ],
)
def test_start_up_loads_nothing_heavy(what: str, code: str) -> None:
    main = "from stemdisp.cli import main\ntry:\n    main()\nexcept SystemExit:\n    pass"
    loaded, seconds = json.loads(_run(code.format(main=main) + "\n" + REPORT))
    print(f"{what}: {seconds:.2f} CPU s")
    assert "stemdisp" in loaded
    assert not set(loaded) & set(HEAVY)


FORBIDDEN = (
    (re.compile(r"(?<![\w.~-])/(?:" + "|".join(("work", "root", "home", "Users")) + r")/\w"), "a path of one machine"),
    (re.compile(r"[A-Z]:\\" + r"Users\\"), "a path of one machine"),
    (re.compile("^(?:<" + "{7}|>{7}) ", re.MULTILINE), "a mark of an unfinished merge"),
    (re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X)\b"), "unfinished work"),
    (re.compile(r"(?:extra-)?index-" + "url"), "the address of a package registry"),
)
"""What no file under version control may hold, and what it is."""


def _tracked() -> list[Path]:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    return [ROOT / name for name in done.stdout.decode().split("\0") if name]


def test_no_file_holds_what_does_not_belong_there() -> None:
    wrong = []
    for path in _tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except (UnicodeDecodeError, OSError):
            continue
        for pattern, what in FORBIDDEN:
            wrong += [
                f"{_name(path)}:{text[: match.start()].count(chr(10)) + 1}: {what}: {match.group()!r}"
                for match in pattern.finditer(text)
            ]
    assert not wrong, _told(wrong)


def test_the_top_level_holds_nothing_else() -> None:
    known = {
        ".ci",
        ".github",
        ".gitignore",
        "CHANGELOG.md",
        "CMakeLists.txt",
        "CONTRIBUTING.md",
        "LICENSE",
        "Makefile",
        "README.md",
        "notebooks",
        "plugins",
        "pyproject.toml",
        "sample_data",
        "stemdisp",
        "tests",
    }
    assert {path.relative_to(ROOT).parts[0] for path in _tracked()} <= known
