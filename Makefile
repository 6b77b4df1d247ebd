# Needs a Debian or Ubuntu with Python 3.11 or newer and make; everything else goes into .venv.  Other systems: README.

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$p"; break; }; done)
VENV   ?= .venv
EXTRAS ?= dev
DEMO   ?= demo-results
BENCH  ?= bench-results
DOCS   ?= build/docs
JOBS   ?= auto

BIN    := $(VENV)/bin
READY  := $(VENV)/ready-$(EXTRAS)
PLUGIN := $(VENV)/ready-plugin

# Workers side by side, one thread each: more threads than cores only make tests slower.
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1

.DELETE_ON_ERROR:
.PHONY: help install demo figures test test-plugin plugin check format bench docs soak fuzz clean

help:
	@echo "make demo     set everything up, analyse all of sample_data, print where the reports are"
	@echo "make test     set everything up, run every test, those of the napari plugin too"
	@echo "make plugin   install napari and the plugin: then $(BIN)/napari"
	@echo "make check    lint, format, types"
	@echo "make format   put the code into the house's format"
	@echo "make fuzz     read 20000 damaged files (FUZZ_FILES), and fuzz what parses for 60 s each (FUZZ_SECONDS)"
	@echo "make bench    measure accuracy and speed, write them into README.md"
	@echo "make docs     the reference of all public names, from their docstrings, in build/docs"
	@echo "make soak     long trials of batches: 100 kills, 1,000 images (about half an hour)"
	@echo "make figures  draw the pictures of README.md again"
	@echo "make clean    remove everything that was made"

install: $(READY)

# What the compiled fit is built from.
KERNEL := CMakeLists.txt $(wildcard stemdisp/fitting/kernel/*.h stemdisp/fitting/kernel/*.cpp)

# As root, or where sudo asks nothing: apt-get install.
APT = if [ "$$(id -u)" = 0 ]; then apt-get update -q && apt-get install -qy $(1); \
	elif sudo -n true 2>/dev/null; then sudo -n apt-get update -q && sudo -n apt-get install -qy $(1); else false; fi

# A Python of Debian comes without ensurepip and headers: ask apt where that is possible, else say what is missing.
$(READY): pyproject.toml $(KERNEL)
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is missing: sudo apt-get install python3" >&2; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { \
		package=$$("$(PYTHON)" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])'); \
		echo "installing $$package with apt"; $(call APT,$$package); } || { \
		echo "Python's venv is missing: sudo apt-get install python3-venv" >&2; exit 1; }
	@command -v c++ >/dev/null || $(call APT,g++) || { \
		echo "a C++ compiler is missing: sudo apt-get install g++" >&2; exit 1; }
	@"$(PYTHON)" -c 'import os, sys, sysconfig; \
		sys.exit(not os.path.exists(os.path.join(sysconfig.get_paths()["include"], "Python.h")))' || \
		$(call APT,python3-dev) || { echo "Python's headers are missing: sudo apt-get install python3-dev" >&2; exit 1; }
	@test -x $(BIN)/python || "$(PYTHON)" -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$(EXTRAS)]'
	@touch $@

demo: $(READY)
	$(BIN)/stemdisp run sample_data/interface --material KTaO3 --zone 1-10 --out $(DEMO)/interface $(DEMO_ARGS)
	$(BIN)/stemdisp run sample_data/bulk --material KTaO3 --zone 001 --out $(DEMO)/bulk $(DEMO_ARGS)
	$(BIN)/stemdisp run sample_data/zone112 --material KTaO3 --zone 11-2 --out $(DEMO)/zone112 $(DEMO_ARGS)
	$(BIN)/stemdisp run sample_data/BTO_crystal_1.dm4 --material BaTiO3 --zone 001 --out $(DEMO)/measured $(DEMO_ARGS)
	@echo; echo "reports, to be opened in a browser:"; ls $(abspath $(DEMO))/*/*/report.html

# Pictures of README.md: those of the demo at 1080 px, each under 500 kB.
figures: DEMO_ARGS = --force
figures: demo
	@mkdir -p sample_data/figures
	$(BIN)/python -c 'from PIL import Image, ImageOps; \
	[ImageOps.contain(Image.open(f"$(DEMO)/interface/KTO111_1e5/figures/{name}.png").convert("RGB"), (1080, 1080)) \
	.save(f"sample_data/figures/{name}.png", optimize=True) for name in ("displacement", "layers")]'

# What windows are drawn with, also where there is no screen: the packages of Debian and, to see whether they are there,
# what is in them.
SCREEN := xvfb xauth libgl1 libgl1-mesa-dri libegl1 libopengl0 libglib2.0-0 libdbus-1-3 libfontconfig1 \
	libxkbcommon-x11-0 libxcb-cursor0 libxcb-icccm4 libxcb-image0 libxcb-keysyms1 libxcb-randr0 libxcb-render-util0 \
	libxcb-shape0 libxcb-xinerama0 libxcb-xinput0 libxcb-xfixes0
DRAWN  := GL EGL OpenGL glib-2.0 dbus-1 fontconfig xkbcommon-x11 xcb-cursor xcb-icccm xcb-image xcb-keysyms xcb-randr \
	xcb-render-util xcb-shape xcb-xinerama xcb-xinput xcb-xfixes

plugin: $(PLUGIN)

$(PLUGIN): $(READY) plugins/napari/pyproject.toml
	@test "$$(uname)" != Linux || { command -v Xvfb >/dev/null && there=$$(PATH="$$PATH:/sbin:/usr/sbin" ldconfig -p) && \
		(for one in $(DRAWN); do case "$$there" in *"lib$$one.so"*) ;; *) exit 1;; esac; done); } || { \
		echo "installing what draws windows with apt"; $(call APT,--no-install-recommends $(SCREEN)); } || { \
		echo "what draws windows is missing: sudo apt-get install $(SCREEN)" >&2; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable 'plugins/napari[test]'
	@touch $@

# Those chosen by PYTEST_ARGS are the core's; without it the plugin's follow.
test: $(READY) $(if $(PYTEST_ARGS),,$(PLUGIN))
	$(ONE_THREAD) $(BIN)/python -m pytest -n $(JOBS) $(PYTEST_ARGS)
	$(if $(PYTEST_ARGS),,@$(MAKE) --no-print-directory test-plugin)

# With settings of their own, and with both Qts.
WINDOWS := cd plugins/napari && $(ONE_THREAD) $(abspath $(BIN))/python -m pytest -n $(JOBS)

test-plugin: $(PLUGIN)
	$(WINDOWS) -o qt_api=pyqt6
	$(WINDOWS) -o qt_api=pyside6

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff check --select I --fix .
	$(BIN)/ruff format .

bench: $(READY)
	@mkdir -p $(BENCH)
	$(BIN)/python tests/benchmarks/run.py > $(BENCH)/tables.md
	@cat $(BENCH)/tables.md
	$(BIN)/python tests/benchmarks/into_readme.py $(BENCH)/tables.md

docs: $(READY)
	$(BIN)/python tests/api_reference.py $(DOCS)

soak: $(READY)
	$(ONE_THREAD) $(BIN)/python tests/soak/run.py

# Atheris follows what code is reached; where it cannot be installed, that is said and the damaged files are read alone.
fuzz: $(READY)
	$(BIN)/python tests/fuzz/files.py
	@$(BIN)/python -c 'import atheris' 2>/dev/null || \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --only-binary :all: atheris || true
	$(BIN)/python tests/fuzz/parsers.py

clean:
	rm -rf $(VENV) $(DEMO) $(BENCH) build dist plugins/napari/dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find stemdisp tests sample_data plugins -name __pycache__ -type d -prune -exec rm -rf {} +
