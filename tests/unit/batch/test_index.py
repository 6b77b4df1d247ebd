"""The page over all images of a batch: complete, harmless whatever files say, and the same every time."""

from __future__ import annotations

import base64
import html
import io
import json
import math
import os
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet
from small_results import HEAD, layer, write_failure, write_layers, write_result

from stemdisp import StemdispError
from stemdisp.batch import index
from stemdisp.batch.brief import brief_of
from stemdisp.batch.catalogue import catalogue
from stemdisp.batch.index import write_index

VOID = {"meta", "img", "br", "link", "input", "hr"}

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{ 7*7 }}\x1b[31m\u202e"


class Page(HTMLParser):
    """Every tag in its order, and whether all that were opened were closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def draw(folder: Path, name: str = "displacement", size: tuple[int, int] = (640, 480)) -> None:
    (folder / "figures").mkdir(exist_ok=True)
    Image.new("RGBA", size, (200, 30, 30, 255)).save(folder / "figures" / f"{name}.png")


def page(out: Path) -> tuple[str, Page]:
    text = write_index(out, catalogue(out)).read_text(encoding="utf-8")
    return text, Page(text)


def row(text: str, label: str) -> str:
    """The text of the row of an image, tags left out."""
    rows = re.findall(r"<tr>\s*<th scope=\"row\">(.*?)</tr>", text, flags=re.DOTALL)
    plain = [html.unescape(re.sub(r"<[^>]*>", " ", one)) for one in rows]
    return next(" ".join(one.split()) for one in plain if one.split()[0] == label)


def test_the_page_says_what_came_out(tmp_path):
    draw(write_result(tmp_path / "one", [layer(0, 20.0), layer(1, 10.0)]))
    write_result(tmp_path / "in" / "two", [layer(0, 22.0)], warnings=["thick +- thin", "tilted"])
    write_result(tmp_path / "three")
    write_failure(tmp_path / "four", "four.tif is no image")
    write_failure(tmp_path / "five", "five.tif is no image")
    text, found = page(tmp_path)
    links = [unquote(one["href"] or "") for one in found.all("a") if not (one["href"] or "").startswith("#")]
    assert sorted(links) == ["./in/two/report.html", "./one/report.html", "./three/report.html"]
    assert all((tmp_path / link).is_file() for link in links)
    assert row(text, "one") == "one done 480 135 22.36 ± 0.50 (layer 0) 5.00 ± 0.50 9.50 ± 0.40 0 3.50"
    assert "thick ± thin" in row(text, "in/two") and "tilted" in row(text, "in/two")
    assert "1 of 3 results have no layers" in text
    assert re.search(r"<td class=\"n\">2</td><td>read: ….tif is no image</td><td>five, four</td>", text)
    assert "KTaO₃ along [11\u03050], {111} layers" in text and "2\xa0images" in text
    thumbs = [one["src"] or "" for one in found.all("img") if "jpeg" in (one["src"] or "")]
    picture = Image.open(io.BytesIO(base64.b64decode(thumbs[0].split(",")[1])))
    assert len(thumbs) == 1 and picture.format == "JPEG" and picture.size == (256, 192)
    # Nothing is asked for from anywhere, and no script but the page's own may run.
    sources = [one.get("src") or "" for _, one in found.tags if "src" in one]
    assert all(one.startswith("data:image/") for one in sources) and len(found.all("script")) == 1
    policy = next(one["content"] or "" for one in found.all("meta") if "http-equiv" in one)
    assert policy.startswith("default-src 'none'") and "script-src 'sha256-" in policy


def test_the_policy_names_the_script_of_the_page(tmp_path):
    import hashlib

    write_result(tmp_path / "one")
    text, _ = page(tmp_path)
    script = re.search(r"<script>(.*)</script>", text, flags=re.DOTALL)
    assert script is not None and "&" not in re.sub("&&", "", script[1])
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in html.unescape(text)


def test_two_runs_give_the_same_bytes(tmp_path):
    for name in "ab":
        draw(write_result(tmp_path / name, [layer(0, 20.0), layer(1, 10.0)]))
    first = write_index(tmp_path, catalogue(tmp_path)).read_bytes()
    assert write_index(tmp_path, catalogue(tmp_path)).read_bytes() == first
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a", "b", "index.html"]


def test_hostile_text_stays_text(tmp_path):
    names = ["<b>&\"'", "javascript:alert(1)", "a#b?c%2f", "ä 雪 😀", "=cmd()", "[red]", "x\ny", "{{ 7*7 }}"]
    for name in names:
        write_result(
            tmp_path / name,
            [layer(0, 20.0)],
            warnings=[EVIL],
            lattice={"material": EVIL, "zone": [1, -1, 0]},
            polarization={"model": EVIL, "of": EVIL, "models": {}},
            recipe=EVIL,
        )
    if os.name == "posix":
        write_result(Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe")))
    write_failure(tmp_path / "failed", EVIL, EVIL)
    text, found = page(tmp_path)
    assert len(found.all("script")) == 1 and "49" not in row(text, "{{") and "\u202e" not in text and "\x1b" not in text
    assert not [one for _, one in found.tags if any(name.startswith("on") for name in one)]
    assert all(one["src"].startswith("data:") for one in found.all("img"))
    links = [one["href"] or "" for one in found.all("a") if not (one["href"] or "").startswith("#")]
    assert len(links) == len(names) + (os.name == "posix") and all(one.startswith("./") for one in links)
    assert all((tmp_path / os.fsdecode(unquote(one).encode("utf-8"))).is_file() or "%FF" in one for one in links)


DAMAGE = {
    "no json": ("summary.json", b"{", "summary.json is damaged"),
    "no object": ("summary.json", b"[1]", "summary.json is damaged"),
    "no text": ("summary.json", b"\xff\xfe\x00", "summary.json is damaged"),
    "too deep": ("summary.json", b"[" * 100_000, "summary.json is damaged"),
    "no table": ("layers.csv", b"\x00\x01", "layers.csv is damaged"),
    "no layer": ("layers.csv", b"a,b\n1,2\n", "layers.csv is damaged (it has no column layer)"),
    "no number": ("layers.csv", b"layer,side,n\n0,0,x\n", "layers.csv is damaged"),
    "short row": ("layers.csv", b"layer,side,n\n0,0\n", "layers.csv is damaged"),
    "twice": ("layers.csv", b"layer,side\n0,0\n0,0\n", "layers.csv is damaged (a layer stands there twice)"),
    "half": ("layers.csv", b"layer,side\n0.5,0\n", "layers.csv is damaged"),
    "huge": ("layers.csv", b"layer,side,normal_pm\n0,0,1e300\n", "layers.csv is damaged (a number is too large)"),
    "endless": ("layers.csv", b"layer,side,normal_pm\n0,0,inf\n", "layers.csv is damaged (a number is too large)"),
    "many": ("layers.csv", b"layer,side\n" + b"1,1\n" * 3000, "layers.csv is damaged (too many rows)"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_costs_one_row(tmp_path, damage):
    name, content, sentence = DAMAGE[damage]
    write_result(tmp_path / "good", [layer(0, 20.0)])
    (write_result(tmp_path / "bad", [layer(0, 20.0)]) / name).write_bytes(content)
    text, _ = page(tmp_path)
    assert f"damaged : {sentence}" in row(text, "bad") and "run it again" in html.unescape(text)
    assert "done" in row(text, "good") and "1\xa0image:" in text


def test_missing_files_and_wrong_types_are_said(tmp_path):
    (write_result(tmp_path / "a") / "summary.json").unlink()
    (write_result(tmp_path / "b") / "layers.csv").unlink()
    (write_result(tmp_path / "c") / "result.json").write_text("no")
    wrong = {
        "counts": 3,
        "seconds": [],
        "warnings": "none",
        "lattice": None,
        "interface": [],
        "displacement": {"mean_pm": 1},
    }
    write_result(tmp_path / "d", [layer(0, 1.0)], **wrong, polarization={"model": ["x"], "models": 3})
    text, _ = page(tmp_path)
    assert "summary.json is missing" in row(text, "a") and "layers.csv is missing" in row(text, "b")
    assert "its record cannot be read" in row(text, "c") and "done – –" in row(text, "d")
    assert "A crystal without a name" in text


@pytest.mark.skipif(os.name != "posix", reason="links and pipes of POSIX")
def test_nothing_outside_the_folder_is_read(tmp_path):
    secret = tmp_path / "secret"
    secret.mkdir()
    draw(write_result(secret / "s", [layer(0, 20.0)], warnings=["a secret"]))
    out = tmp_path / "out"
    folder = write_result(out / "a")
    for name in ("summary.json", "layers.csv"):
        (folder / name).unlink()
        (folder / name).symlink_to(secret / "s" / name)
    (folder / "figures").symlink_to(secret / "s" / "figures")
    other = write_result(out / "b")
    (other / "summary.json").unlink()
    os.mkfifo(other / "summary.json")
    text, found = page(out)
    assert "summary.json leads out of the folder" in row(text, "a") and "a secret" not in text
    assert "summary.json is missing" in row(text, "b") and not found.all("img")


def test_a_figure_that_is_none_is_left_out(tmp_path):
    draw(write_result(tmp_path / "a"), "layers")
    for name, content in {"b": b"no picture", "c": b"\x89PNG\r\n\x1a\n" + b"\xff" * 40, "d": b""}.items():
        draw(write_result(tmp_path / name))
        (tmp_path / name / "figures" / "displacement.png").write_bytes(content)
    draw(write_result(tmp_path / "e"))
    path = tmp_path / "e" / "figures" / "displacement.png"
    path.write_bytes(path.read_bytes()[:-40])
    _, found = page(tmp_path)
    assert len(found.all("img")) == 1


def test_parquet_says_the_same(tmp_path):
    rows = [layer(0, 20.0), layer(1, math.nan, math.nan)]
    write_result(tmp_path / "a", rows)
    folder = write_result(tmp_path / "b", rows)
    (folder / "layers.csv").unlink()
    columns = {
        name: [None if math.isnan(value) else value for value in values]
        for name, values in zip(HEAD, zip(*rows, strict=True), strict=True)
    }
    parquet.write_table(pa.table(columns), folder / "layers.parquet")
    one, other = (brief_of(entry) for entry in catalogue(tmp_path))
    assert one.strongest == other.strongest
    for name, means in one.sides[0].means.items():
        np.testing.assert_array_equal(means, other.sides[0].means[name])
    (folder / "layers.parquet").write_bytes(b"PAR1" + b"\x00" * 30 + b"PAR1")
    assert brief_of(catalogue(tmp_path)[1]).sentence.startswith("layers.parquet is damaged")
    parquet.write_table(pa.table({"layer": ["x"], "side": [0]}), folder / "layers.parquet")
    assert brief_of(catalogue(tmp_path)[1]).status == "damaged"


def test_older_tables_have_fewer_columns(tmp_path):
    write_layers(write_result(tmp_path / "a"), [[0, 0, 5.0]], ("layer", "side", "parallel_pm"))
    (brief,) = (brief_of(entry) for entry in catalogue(tmp_path))
    assert brief.status == "done" and brief.sides[0].means["parallel_pm"].tolist() == [5.0]
    assert np.isnan(brief.sides[0].means["normal_pm"]).all()


def test_a_page_of_others_is_not_replaced(tmp_path):
    write_result(tmp_path / "a")
    (tmp_path / "index.html").write_text("<p>mine</p>")
    with pytest.raises(StemdispError, match="is no page of stemdisp"):
        write_index(tmp_path, catalogue(tmp_path))
    assert (tmp_path / "index.html").read_text() == "<p>mine</p>"
    (tmp_path / "index.html").unlink()
    write_result(tmp_path / "index.html")
    with pytest.raises(StemdispError, match="is no page of stemdisp"):
        write_index(tmp_path, catalogue(tmp_path))


def test_a_page_is_whole_or_as_it_was(tmp_path, monkeypatch):
    write_result(tmp_path / "a")
    before = write_index(tmp_path, catalogue(tmp_path)).read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(index.os, "replace", full)
    with pytest.raises(StemdispError, match=r"index.html cannot be written: No space left"):
        write_index(tmp_path, catalogue(tmp_path))
    assert (tmp_path / "index.html").read_bytes() == before and len(list(tmp_path.iterdir())) == 2


def test_a_hundred_images_are_less_than_five_megabytes(tmp_path):
    rng = np.random.default_rng(1)
    noise = Image.fromarray(rng.integers(0, 256, (480, 640, 3), dtype=np.uint8))
    for n in range(100):
        folder = write_result(tmp_path / f"i{n}", [layer(k, 20.0 - k) for k in range(15)])
        (folder / "figures").mkdir()
        if n == 0:
            noise.save(folder / "figures" / "displacement.png")
        else:
            os.link(tmp_path / "i0" / "figures" / "displacement.png", folder / "figures" / "displacement.png")
    assert write_index(tmp_path, catalogue(tmp_path)).stat().st_size < 5e6


def test_json_numbers_beyond_belief_are_none(tmp_path):
    summary = json.loads(json.dumps({"counts": {"assigned": 1e400, "displacements": -3}}))
    write_result(tmp_path / "a", **summary)
    (brief,) = (brief_of(entry) for entry in catalogue(tmp_path))
    assert brief.columns is None and brief.displacements is None
