"""The page: self-contained, escaped, and right."""

import base64
import html
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from sides import on_side

from stemdisp.flags import SENTENCES, Flag
from stemdisp.model.domains import Domains, Vortex, Wall
from stemdisp.model.external import RankCorrelation
from stemdisp.model.micrograph import InputFile
from stemdisp.model.profile import Decay
from stemdisp.model.quality import Check, Quality
from stemdisp.report import write_report
from stemdisp.report.words import number, paragraph, strongest_layer, with_error

HOSTILE = "<script>alert(1)</script>[red]=cmd|'/c calc'!A0\x1b[31m\n{{7*7}}"
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


class Page(HTMLParser):
    """Tags with their attributes, and the text between them."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.words = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).replace("\u00a0", " ").split())


@pytest.fixture
def write(tmp_path):
    def write(analysis, figures=(), **more):
        return write_report(analysis, figures, tmp_path / "report.html", **more).read_text(encoding="utf-8")

    return write


@pytest.fixture
def figures(tmp_path):
    paths = [tmp_path / "displacement.png", tmp_path / "displacement.svg", tmp_path / "layers.png"]
    for path in paths:
        path.write_bytes(PIXEL)
    return paths


def test_the_page_asks_for_nothing(write, kto, figures):
    text = write(kto, figures)
    page = Page(text)
    assert not re.search(r"(https?:)?//[a-z]", re.sub(r"base64,[^\"]*", "", text), re.IGNORECASE)
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in page.tags}
    sources = [attributes["src"] for _, attributes in page.tags if "src" in attributes]
    assert len(sources) == 2 and all(source.startswith("data:image/png;base64,") for source in sources)
    assert "default-src 'none'" in text and "url(" not in text and "@import" not in text


def test_figures_are_the_files(write, kto, figures):
    assert base64.b64encode(PIXEL).decode() in write(kto, figures)


def test_hostile_text_stays_text(write, kto):
    micrograph = replace(
        kto.micrograph, name=HOSTILE, inputs=(InputFile(HOSTILE, 1, "ab" * 32, HOSTILE),), notes=(HOSTILE,)
    )
    checks = Quality((Check(HOSTILE, 1.0, None, HOSTILE, HOSTILE, warn=True),))
    field = replace(kto.displacement, assumption=HOSTILE)
    text = write(replace(kto, micrograph=micrograph, quality=checks, displacement=field, device=HOSTILE))
    assert "<script" not in text and "\x1b" not in text and "{{7*7}}" in text
    assert html.escape("<script>") in text


def test_names_that_are_not_unicode_can_be_written(write, kto):
    inputs = (InputFile("a\udcff\u202etxt.exe", 1, "ab" * 32, "TIFF"),)
    assert "a??txt.exe" in write(replace(kto, micrograph=replace(kto.micrograph, inputs=inputs)))


def test_the_paragraph_says_what_layers_say(kto):
    fallen = Decay(9.0, 0.5, 24.0, 0.8, 0.61, 0.02, 1.1)
    text = paragraph(on_side(kto, decay=fallen)).replace("\u00a0", " ")
    assert "stands above its error in layers 0 to 3 of " in text
    assert "dies away over 0.610 ± 0.020 nm from 24.00 ± 0.80 pm parallel to the interface and 9.00 ± 0.50 pm" in text
    assert (
        "fainter than in the bulk in layers 0 to 2 (−0.07 to 0.62 nm from the interface), down to 0.75 of it: a sign"
        in text
    )
    nowhere = replace(kto.profile, significant=np.zeros(len(kto.profile)), vacancy_rich=np.zeros(len(kto.profile)))
    text = paragraph(on_side(kto, profile=nowhere)).replace("\u00a0", " ")
    assert "None of " in text and "nowhere clearly fainter" in text and "dies away" not in text


def test_the_paragraph_is_made_from_the_numbers(kto):
    text = paragraph(kto).replace("\u00a0", " ")
    row = strongest_layer(kto.profile)
    assert f"{int((kto.columns.site >= 0).sum())} columns" in text
    assert f"layer {kto.profile.layer[row]}" in text
    assert (
        with_error(kto.profile.parallel_pm[row], kto.profile.parallel_sem_pm[row], "pm").replace("\u00a0", " ") in text
    )
    assert "found automatically" in text and "5.20 ± 0.40 pm to the right" in text


def test_nothing_is_claimed_that_was_not_found(kto):
    text = paragraph(replace(kto, sides=(), displacement=replace(kto.displacement, offset=None)))
    assert "No interface was found" in text and "Nothing was subtracted" in text and "largest" not in text


def test_warnings_flags_checks_recipe_and_inputs_are_on_the_page(write, kto):
    text = Page(write(kto)).text
    for warning in kto.warnings:
        assert warning in text
    assert SENTENCES[Flag.WEAK] in text and SENTENCES[Flag.EDITED] not in text
    assert "6.10 ± 0.40 pm" in text
    assert kto.recipe.digest() in text and "minimum_cells = 9" in text
    assert "ab" * 32 in text and "KTO111_ABF.tif" in text
    assert kto.polarization.assumption in text


def test_flags_are_counted(write, kto):
    text = Page(write(kto)).text
    weak = int((kto.columns.flags & int(Flag.WEAK) > 0).sum())
    assert f"WEAK {SENTENCES[Flag.WEAK]} {weak} 0" in text


def test_the_layer_table_has_every_layer_and_marks_the_strongest(write, kto):
    page = Page(write(kto))
    rows = [attributes.get("class", "") for tag, attributes in page.tags if tag == "tr"]
    assert sum("strongest" in row for row in rows) == 1
    assert sum("reference" in row for row in rows) == 7
    assert "16.72 ± 0.88" in page.text


def test_times_and_versions_come_from_the_record(write, kto):
    record = {
        "stemdisp": "0.0.7",
        "python": "3.9.1",
        "packages": {"numpy": "1.0", "scipy": None},
        "platform": "Plan 9",
        "device": "abacus",
        "started": None,
        "ended": "1999-12-31T23:59:59+00:00",
        "recipe": "x",
        "inputs": [],
    }
    text = Page(write(kto, record=record)).text
    assert "stemdisp 0.0.7, Python 3.9.1, numpy 1.0" in text and "1999-12-31" in text and "abacus" in text


def test_an_analysis_that_did_not_come_far_has_a_page(write, kto):
    early = replace(
        kto,
        columns=None,
        lattice=None,
        cells=None,
        sides=(),
        displacement=None,
        polarization=None,
        quality=None,
        notes=(),
        seconds={},
    )
    assert "no crystal was assigned" in Page(write(early)).text
    assert "No check gave cause for a warning" in Page(write(early)).text


@pytest.mark.parametrize(
    ("value", "std", "text"),
    [
        (18.634, 0.922, "18.63 ± 0.92"),
        (1234.5, 87.0, "1234 ± 87"),
        (-0.5, 0.0123, "−0.500 ± 0.012"),
        (3.0, np.nan, "3.00"),
    ],
)
def test_numbers_are_rounded_by_their_error(value, std, text):
    assert with_error(value, std).replace("\u00a0", " ") == text


def test_what_is_absent_is_not_zero():
    assert number(float("nan")) == with_error(None, 1.0) == "–"


def test_an_external_profile_is_compared_in_words(write, eels):
    text = Page(write(eels)).text
    assert f"Ti3+ share, EELS, measured elsewhere, covers 9 of {len(eels.profile)} layers." in text
    assert "Its rank correlation is −1.00 (p < 0.001, 9 layers) with the oxygen contrast and 0." in text
    assert "neighbouring layers are alike" in text.lower() and "does not cover layers 9 to" in text


def test_a_profile_that_covers_little_claims_nothing(write, eels):
    (one,) = eels.external
    little = replace(one, **dict.fromkeys(("o_contrast", "displacement"), RankCorrelation(np.nan, np.nan, 3)))
    assert "too few for a correlation" in paragraph(eels.having(external=(little,)))
    none = replace(one, at_layers=np.full(len(one.at_layers), np.nan), name=HOSTILE)
    assert "measured elsewhere" not in write(eels.having(external=(none,)))


def test_hostile_names_of_profiles_stay_text(write, eels):
    hostile = replace(eels.external[0], name=HOSTILE, unit=HOSTILE, warning=HOSTILE)
    text = write(eels.having(external=(hostile,)))
    assert "<script" not in text and "\x1b" not in text


def test_what_is_left_out_stands_on_the_page(write, kto):
    whole = on_side(kto, profile=replace(kto.profile, n=kto.profile.n + 3))
    assert "Left out" not in write(whole)
    shallow = whole.having(displacement=replace(kto.displacement, offset=None, assumption=HOSTILE))
    text = write(shallow)
    assert "Left out" in text and "the reference is left out" in text and "<script" not in text


def test_walls_and_vortices_have_a_section_where_there_are_any(write, kto):
    assert "Domain walls" not in write(kto)
    points = np.array([[30.0, 40.0], [30.0, 60.0]])
    sides = np.array([[9.0, 0.0], [0.0, -9.0]])
    turned = Wall(
        points, points.mean(axis=0), np.array([1.0, 0.0]), 0.021, 0.05, 0.5, 0.04, 6.0, sides, sides * 0 + 0.3
    )
    opposite = Wall(points, points.mean(axis=0), np.array([0.0, 1.0]), 0.02, 0.05, np.nan, np.nan, np.nan)
    vortex = Vortex(np.array([50.0, 70.0]), np.full(2, 1.0), 1, "clockwise")
    anti = Vortex(np.array([80.0, 70.0]), np.full(2, np.nan), -1, "none")
    found = Domains((vortex, anti), (turned, opposite), np.array([0.0, 1.0]), "looked for by hand")
    page = Page(write(kto.having(domains=found))).text
    assert "Domain walls and vortices" in page and "Looked for by hand." in page
    assert "1 wall between opposite displacements and 1 wall at which the displacement turns by 90°" in page
    assert "0° → 90°" in page and "90.0 ± 2.7°" in page and "0.021" in page and "0.500 ± 0.040" in page
    assert "winds around 2 points, of which 1 is an antivortex" in page and "+1 clockwise" in page and "−1" in page
