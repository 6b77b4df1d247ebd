"""Synthetic micrographs: what the truth says is what the pixels show."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stemdisp.errors import RecipeError
from stemdisp.model.interface import Interface
from stemdisp.synthetic import Dose, Edge, Look, Motion, Scan, Scene, Truth, View, simulate, simulate_frames

CLEAN = Dose(noise=False, background_variation=0.0, abf_variation=0.0, dtype="float64")
ONLY_TA = Look(amplitude={"K": 0.0, "O": 0.0}, sigma_A={"Ta": 0.3})
BOTH = ("HAADF", "ABF")


def pixels(scene: Scene, signal: str = "HAADF") -> np.ndarray:
    return simulate(scene)[0].signals[signal].image


def layer_means(truth: Truth, normal: np.ndarray) -> dict[int, np.ndarray]:
    """Mean (normal, parallel) displacement of the complete cells of each layer."""
    rows, moved = truth.cells()
    frame = np.stack([normal, [-normal[1], normal[0]]])
    return {n: (moved[truth.layer[rows] == n] @ frame.T).mean(axis=0) for n in np.unique(truth.layer[rows]).tolist()}


def shared_rows(one: Truth, other: Truth) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the columns that stand in both frames."""
    keys = [[(s, *hk) for s, hk in zip(t.site.tolist(), t.hk.tolist(), strict=True)] for t in (one, other)]
    row = {key: i for i, key in enumerate(keys[1])}
    both = np.array([(i, row[key]) for i, key in enumerate(keys[0]) if key in row])
    return both[:, 0], both[:, 1]


@pytest.mark.parametrize("tail", [0.0, 0.12])
@pytest.mark.parametrize("affine", [((1.0, 0.0), (0.0, 1.0)), ((1.02, 0.03), (-0.01, 0.97))])
def test_moments_of_a_rendered_column(affine, tail) -> None:
    """Sum, centroid and second moments of a column are those of the profile, in rectangular, sheared pixels."""
    look = replace(ONLY_TA, tail=tail, sigma_A={"Ta": 0.2})
    scene = Scene(look=look, view=View(pixel_size_pm=(8, 6), rotation_deg=20), scan=Scan(affine=affine), dose=CLEAN)
    image, truth = pixels(scene) - CLEAN.background_counts, simulate(scene)[1]
    i = int(np.hypot(*(truth.xy - 127.5).T).argmin())
    x0, y0 = np.rint(truth.xy[i]).astype(int)
    box = image[y0 - 16 : y0 + 17, x0 - 12 : x0 + 13]
    y, x = np.mgrid[y0 - 16 : y0 + 17, x0 - 12 : x0 + 13]
    d = np.stack([x, y], axis=-1) - truth.xy[i]
    # The corners of the box hold a little of the neighbours' tails.
    q = np.einsum("yxi,ij,yxj->yx", d, truth.metric, d) / 0.2**2
    profile = (1 - tail) * np.exp(-q / 2) + tail * np.exp(-q / 2 / 2.2**2)
    np.testing.assert_allclose(box, truth.amplitude["HAADF"][i] * profile, atol=0.06 if tail else 1e-3)
    if tail == 0:
        total = box.sum()
        assert total == pytest.approx(500 * 2 * np.pi * 0.2**2 / np.sqrt(np.linalg.det(truth.metric)), rel=1e-5)
        np.testing.assert_allclose((box[..., None] * d).sum(axis=(0, 1)) / total, 0, atol=1e-5)
        moments = np.einsum("yx,yxi,yxj->ij", box, d, d) / total
        np.testing.assert_allclose(moments, 0.2**2 * np.linalg.inv(truth.metric), atol=2e-3)
        np.testing.assert_allclose(truth.sigma_px[i] * np.sqrt(np.diag(truth.metric)), 0.2)


def test_columns_beyond_the_frame_reach_in() -> None:
    """A small frame is a cut-out of a large one: nothing changes at its edges but what stands outside."""
    look = Look(tail=0.12, amplitude_scatter=0.05, width_scatter=0.02)
    motion = Motion(jitter_pm=5)
    large, small = (
        pixels(Scene(look=look, motion=motion, view=View(shape=shape), dose=CLEAN, missing=0.1))
        for shape in ((201, 181), (101, 81))
    )
    np.testing.assert_allclose(small, large[50:151, 50:131], atol=1e-6)


@pytest.mark.parametrize("zone", [(0, 0, 1), (1, -1, 0)])
def test_turning_the_crystal_turns_the_image(zone) -> None:
    """A quarter turn counter-clockwise is np.rot90, with every kind of disorder and an edge."""
    scene = Scene(
        zone=zone,
        view=View(shape=(160, 160), rotation_deg=17),
        look=Look(tail=0.1, amplitude_scatter=0.1, width_scatter=0.02),
        motion=Motion(normal_pm=20, parallel_pm=-10, jitter_pm=5),
        edge=Edge(plane=(1, 1, 0), offset_A=2.3, beyond="vacuum", vacancies=(0.5,)),
        dose=replace(CLEAN, background_variation=0.3),
        missing=0.1,
    )
    turned = replace(scene, view=replace(scene.view, rotation_deg=107))
    np.testing.assert_allclose(pixels(turned), np.rot90(pixels(scene)), atol=1e-9 * 500)


@settings(max_examples=25, deadline=None)
@given(
    angle=st.floats(-400, 400),
    size=st.tuples(st.floats(8, 14), st.floats(8, 14)),
    zone=st.sampled_from([(0, 0, 1), (1, -1, 0)]),
)
def test_the_cell_vector_a_points_where_the_scene_says(angle, size, zone) -> None:
    """Angles are counter-clockwise as seen; lengths are the crystal's whatever the pixels."""
    truth = simulate(Scene(zone=zone, view=View(shape=(64, 64), pixel_size_pm=size, rotation_deg=angle)))[1]
    a, b = truth.a * size, truth.b * size
    t = np.radians(angle)
    np.testing.assert_allclose(a / np.linalg.norm(a), [np.cos(t), -np.sin(t)], atol=1e-9)
    np.testing.assert_allclose([np.linalg.norm(a), np.linalg.norm(b)], 100 * np.linalg.norm(truth.motif.cell_A, axis=1))
    assert a[0] * -b[1] + a[1] * b[0] > 0
    np.testing.assert_allclose(truth.lattice.position(truth.hk, truth.site_index), truth.ideal_xy, atol=1e-9)
    np.testing.assert_allclose(truth.lattice.scale_pm, size)


@pytest.mark.parametrize("normal_deg", [0, 37, 90, 145, 200, 270, 333])
def test_the_profile_of_displacements_comes_back(normal_deg) -> None:
    motion = Motion(normal_pm=20, parallel_pm=-12, decay_layers=2.5)
    scene = Scene(edge=Edge(offset_A=4, beyond="vacuum"), motion=motion, view=View(shape=(300, 280))).facing(normal_deg)
    truth = simulate(scene)[1]
    t = np.radians(normal_deg)
    assert truth.interface_normal == pytest.approx([np.cos(t), -np.sin(t)])
    means = layer_means(truth, truth.interface_normal)
    assert len(means) >= 5
    for layer, mean in means.items():
        assert mean == pytest.approx(np.exp(-layer / 2.5) * np.array([20, -12]))
    assert np.linalg.norm(truth.xy - truth.ideal_xy, axis=1).max() * 10 == pytest.approx(np.hypot(20, 12))


def test_the_parallel_direction_is_that_of_the_noun() -> None:
    """Normal up: a positive parallel displacement points right."""
    scene = Scene(edge=Edge(beyond="vacuum"), motion=Motion(parallel_pm=10)).facing(90)
    truth = simulate(scene)[1]
    noun = Interface(
        truth.interface_point, truth.interface_normal, (1, 1, 1), 230.27, truth.layer, truth.xy[:, 0], 0.0, "recipe"
    )
    first = (truth.site == "K") & (truth.layer == 0)
    np.testing.assert_allclose(truth.displacement_pm[first] @ noun.parallel, 10)
    np.testing.assert_allclose(truth.displacement_pm[first], [[10, 0]] * first.sum(), atol=1e-9)


def test_layers_given_one_by_one() -> None:
    given_layers = ((20.0, 0.0), (15.0, 3.0), (10.0, 0.0), (5.0, -3.0))
    truth = simulate(Scene(edge=Edge(), motion=Motion(layers_pm=given_layers, normal_pm=99)).facing(90))[1]
    means = layer_means(truth, truth.interface_normal)
    for layer, mean in means.items():
        assert mean == pytest.approx(given_layers[layer] if layer < 4 else (0, 0), abs=1e-9)


@pytest.mark.parametrize(("termination", "first", "depth"), [("K", "K", 0.0), ("Ta", "Ta", 0.5), (None, "Ta", 0.5)])
def test_termination_and_clearance(termination, first, depth) -> None:
    """The plane named ends the crystal, clearance_A inside the line; K of layer 0 is in it or half a spacing below."""
    edge = Edge(offset_A=3, clearance_A=0.7, termination=termination, beyond="vacuum")
    truth = simulate(Scene(edge=edge).facing(60))[1]
    inward = -(truth.ideal_xy - truth.interface_point) @ truth.interface_normal / 10
    assert truth.interface_point == pytest.approx(127.5 + 30 * truth.interface_normal)
    assert set(truth.site[inward < 0.7 + 0.01]) == ({first, "O"} if first == "K" else {first})
    assert inward.min() == pytest.approx(0.7)
    layers = (truth.site == "K") & (truth.layer >= 0)
    np.testing.assert_allclose(inward[layers], 0.7 + 2.30264608 * (truth.layer[layers] + depth), atol=1e-6)


def test_a_uniform_displacement_and_tilt() -> None:
    motion = Motion(uniform_pm=(7.0, -3.0), tilt_pm={"ABF": (2.0, 5.0)})
    view = View(pixel_size_pm=(8, 12))
    truth = simulate(Scene(signals=BOTH, motion=motion, view=view, scan=Scan(affine=((1.01, 0.02), (0, 1)))))[1]
    for signal, expected in ((None, (7, -3)), ("HAADF", (7, -3)), ("ABF", (9, 2))):
        rows, moved = truth.cells(signal)
        np.testing.assert_allclose(moved, [expected] * len(rows), atol=1e-9)
    np.testing.assert_array_equal(truth.position("HAADF"), truth.xy)


def test_every_site_can_have_a_displacement_of_its_own() -> None:
    view = View(pixel_size_pm=(8, 12), rotation_deg=20.0)
    plain = Scene(view=view, motion=Motion(uniform_pm=(2.0, 1.0)), scan=Scan(affine=((1.01, 0.02), (0, 1))))
    moved = replace(plain, motion=replace(plain.motion, site_pm={"O": (4.0, -30.0), "K": (5.0, 6.0)}))
    truth = simulate(moved)[1]
    for site, expected in (("O", (4, -30)), ("K", (7, 7)), ("Ta", (0, 0))):
        rows = truth.site == site
        np.testing.assert_allclose(truth.displacement_pm[rows], [expected] * int(rows.sum()), atol=1e-9)
        np.testing.assert_allclose(
            (truth.xy - truth.ideal_xy)[rows] @ truth.to_pm, [expected] * int(rows.sum()), atol=1e-9
        )
    np.testing.assert_array_equal(pixels(replace(plain, motion=replace(plain.motion, site_pm={}))), pixels(plain))


@pytest.mark.parametrize("turned", [0.0, 90.0, 33.0])
def test_a_wall_turns_the_displacement_round(turned) -> None:
    motion = Motion(
        pattern="wall", pattern_pm=20.0, pattern_width_A=3.0, pattern_at_A=(2.0, 9.0), uniform_pm=(1.0, 2.0)
    )
    view = View(shape=(300, 300), rotation_deg=turned)
    scene = Scene(zone=(0, 0, 1), view=view, motion=motion)
    truth = simulate(scene)[1]
    moving = truth.site == "K"
    assert (truth.displacement_pm[~moving] == 0).all()
    # Right and up as seen where a points right.
    a = np.array([np.cos(np.radians(turned)), -np.sin(np.radians(turned))])
    b = np.array([a[1], -a[0]])
    height = ((truth.ideal_xy - scene.centre) @ truth.to_pm / 100 @ a)[moving] - 2.0
    moved = truth.displacement_pm[moving] - [1.0, 2.0]
    np.testing.assert_allclose(moved @ b, 20 * np.tanh(height / 3), atol=1e-9)
    np.testing.assert_allclose(moved @ a, 0, atol=1e-9)


@pytest.mark.parametrize("turned", [0.0, 33.0])
def test_a_vortex_runs_counter_clockwise_around_its_middle(turned) -> None:
    motion = Motion(pattern="vortex", pattern_pm=20.0, pattern_width_A=5.0, pattern_at_A=(3.0, -2.0))
    scene = Scene(zone=(0, 0, 1), view=View(shape=(300, 300), rotation_deg=turned), motion=motion)
    truth = simulate(scene)[1]
    moving = truth.site == "K"
    middle = np.array([3.0, -2.0]) @ scene.turn
    x, y = (((truth.ideal_xy - scene.centre) @ truth.to_pm / 100)[moving] - middle).T
    distance = np.hypot(x, y)
    # y points down: right of the middle it goes up.
    expected = 20 * np.tanh(distance / 5) * np.stack([y, -x]) / distance
    np.testing.assert_allclose(truth.displacement_pm[moving], expected.T, atol=1e-9)


def test_without_a_pattern_its_numbers_do_not_matter() -> None:
    np.testing.assert_array_equal(pixels(Scene(motion=Motion(pattern_pm=9.0))), pixels(Scene()))


def test_jitter_moves_every_site_and_is_part_of_the_truth() -> None:
    truth = simulate(Scene(motion=Motion(jitter_pm=4), view=View(shape=(500, 500))))[1]
    assert truth.displacement_pm.std() == pytest.approx(4, rel=0.06)
    for site in truth.motif.sites:
        assert truth.displacement_pm[truth.site == site].std() == pytest.approx(4, rel=0.15)
    _, moved = truth.cells()
    assert moved.std() == pytest.approx(4 * 1.5**0.5, rel=0.1)


def test_an_affine_scan_maps_positions_about_the_centre() -> None:
    plain = simulate(Scene())[1]
    matrix = np.array([[1.01, 0.02], [-0.005, 0.98]])
    mapped = simulate(Scene(scan=Scan(affine=tuple(map(tuple, matrix)))))[1]
    here, there = shared_rows(plain, mapped)
    np.testing.assert_allclose(mapped.xy[there], 127.5 + (plain.xy[here] - 127.5) @ matrix.T)
    np.testing.assert_allclose(mapped.a, matrix @ plain.a)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64"])
@pytest.mark.parametrize("peak", [100, 500, 200_000])
def test_stored_values_are_counts_times_a_factor_that_is_said(dtype, peak) -> None:
    micrograph, truth = simulate(Scene(view=View(shape=(96, 96)), dose=Dose(peak_counts=peak, dtype=dtype)))
    image, factor = micrograph.signals["HAADF"].image, truth.stored_per_count["HAADF"]
    assert image.dtype == dtype
    scaled = peak > {"uint8": 150, "uint16": 50_000}.get(dtype, np.inf)
    assert (factor != 1) == scaled == bool(micrograph.notes)
    noise = np.sqrt(truth.expected["HAADF"]) + 1 / factor
    assert np.abs((image / factor - truth.expected["HAADF"]) / noise).max() < 6
    assert micrograph.pixel_size.xy_pm.tolist() == [10, 10] and micrograph.inputs == ()


def test_noise_is_poissonian() -> None:
    scene = Scene(view=View(shape=(300, 300)), dose=Dose(dtype="float64"))
    micrograph, truth = simulate(scene)
    pull = (micrograph.signals["HAADF"].image - truth.expected["HAADF"]) / np.sqrt(truth.expected["HAADF"])
    assert pull.mean() == pytest.approx(0, abs=0.02)
    assert pull.std() == pytest.approx(1, abs=0.02)


def test_missing_columns_leave_a_hole_and_a_row() -> None:
    truth = simulate(Scene(missing=0.2, view=View(shape=(400, 400)), dose=CLEAN))[1]
    assert np.mean(~truth.present) == pytest.approx(0.2, abs=0.06)
    assert (truth.amplitude["HAADF"][~truth.present] == 0).all() and (truth.amplitude["HAADF"][truth.present] > 0).all()
    holes = np.rint(truth.xy[~truth.present & (truth.site == "Ta")]).astype(int)
    assert (truth.expected["HAADF"][holes[:, 1], holes[:, 0]] < 50 + 0.2 * 500).all()
    rows, _ = truth.cells()
    assert truth.present[rows].all()
    assert len(rows) < len(simulate(Scene(view=View(shape=(400, 400))))[1].cells()[0])


def test_equal_scenes_are_equal_and_seeds_differ() -> None:
    scene = Scene(motion=Motion(jitter_pm=3), edge=Edge(), scan=Scan(row_jitter_pm=5), missing=0.05, seed=4)
    np.testing.assert_array_equal(pixels(scene), pixels(scene))
    other = replace(scene, seed=5)
    assert (pixels(scene) != pixels(other)).mean() > 0.5


def test_noise_and_geometry_have_streams_of_their_own() -> None:
    scene = Scene(signals=BOTH, motion=Motion(jitter_pm=3), missing=0.05)
    first, other = simulate(scene)[1], simulate(replace(scene, dose=Dose(peak_counts=50, frames=3)))[1]
    np.testing.assert_array_equal(first.xy, other.xy)
    np.testing.assert_array_equal(first.present, other.present)
    np.testing.assert_array_equal(pixels(replace(scene, signals=("ABF",)), "ABF"), pixels(scene, "ABF"))
    quiet = simulate(replace(scene, motion=Motion()))[1]
    mine, theirs = shared_rows(first, quiet)
    np.testing.assert_array_equal(first.present[mine], quiet.present[theirs])


def test_dark_columns_on_a_bright_background() -> None:
    """ABF: Ta takes about a quarter of the background, K 0.7 and O 0.5 of that; multislice gives the same order."""
    micrograph, truth = simulate(Scene(signals=BOTH, dose=CLEAN))
    assert micrograph.signals["ABF"].contrast == -1 and micrograph.signals["HAADF"].contrast == 1
    depth = {
        s: -truth.amplitude["ABF"][truth.site == s].mean() / truth.background["ABF"].mean() for s in truth.motif.sites
    }
    assert depth["Ta"] == pytest.approx(0.26)
    assert depth["K"] / depth["Ta"] == pytest.approx(0.71, abs=0.01)
    assert depth["O"] / depth["Ta"] == pytest.approx(0.53, abs=0.01)
    assert micrograph.signals["ABF"].image.min() > 0


def test_scatter_of_amplitudes_and_widths() -> None:
    look = Look(amplitude_scatter=0.05, width_scatter=0.02)
    truth = simulate(Scene(look=look, view=View(shape=(600, 600))))[1]
    ta = truth.site == "Ta"
    assert truth.amplitude["HAADF"][ta].std() / 500 == pytest.approx(0.05, rel=0.2)
    assert truth.sigma_A[ta].std() / 0.5 == pytest.approx(0.02, rel=0.2)


def test_vacancies_dim_the_oxygen_of_their_layers_alone() -> None:
    truth = simulate(Scene(signals=BOTH, edge=Edge(vacancies=(0.6, 0.3)), dose=CLEAN).facing(90))[1]
    full = simulate(Scene(signals=BOTH, edge=Edge(), dose=CLEAN).facing(90))[1]
    for signal in BOTH:
        ratio = truth.amplitude[signal] / full.amplitude[signal]
        oxygen = truth.site == "O"
        np.testing.assert_allclose(ratio[~oxygen], 1)
        for layer, part in ((0, 0.4), (1, 0.7), (2, 1.0), (3, 1.0)):
            np.testing.assert_allclose(ratio[oxygen & (truth.layer == layer)], part)


def test_intensity_steps() -> None:
    """Crystal on both sides: Ta dims beyond the line; or in the outermost layers where the step lies deeper."""
    crystal = simulate(Scene(edge=Edge(beyond="crystal", step=0.35), dose=CLEAN).facing(90))[1]
    inside = (crystal.ideal_xy - crystal.interface_point) @ crystal.interface_normal < 0
    ta = crystal.site == "Ta"
    assert set(np.round(crystal.amplitude["HAADF"][ta & ~inside])) == {175}
    assert set(np.round(crystal.amplitude["HAADF"][ta & inside])) == {500}
    assert (crystal.layer[~inside] == -1).all()
    deep = simulate(Scene(edge=Edge(step=0.5, step_layers=2), dose=CLEAN).facing(90))[1]
    deep_ta = deep.site == "Ta"
    plane = np.rint((deep.ideal_xy[deep_ta, 1] - deep.ideal_xy[deep_ta, 1].min()) / 23.0264608)
    np.testing.assert_allclose(deep.amplitude["HAADF"][deep_ta], np.where(plane < 2, 250, 500))
    np.testing.assert_allclose(
        np.unique(deep.amplitude["HAADF"][deep.site == "K"]), 500 * deep.motif.contrast("HAADF")[0]
    )


@pytest.mark.parametrize(("beyond", "level"), [("vacuum", 0.0), ("amorphous", 0.04)])
def test_what_lies_beyond_the_edge(beyond, level) -> None:
    truth = simulate(Scene(edge=Edge(beyond=beyond), signals=BOTH, dose=CLEAN).facing(90))[1]
    cap, below = truth.background["HAADF"][:110], truth.background["HAADF"][160:]
    assert cap.mean() == pytest.approx(50 + level * 500, rel=0.06)
    assert (cap.std() > 2) == (beyond == "amorphous")
    np.testing.assert_allclose(below, 50, atol=1e-3)
    assert (truth.background["ABF"][:110].mean() < truth.background["ABF"][160:].mean()) == (beyond == "amorphous")
    assert truth.xy[:, 1].min() > 127


def test_the_background_varies_smoothly_and_no_more_than_said() -> None:
    background = simulate(Scene(dose=replace(CLEAN, background_variation=0.2), view=View(shape=(300, 200))))[
        1
    ].background["HAADF"]
    assert 50 * 0.8 <= background.min() and background.max() <= 50 * 1.2
    assert np.ptp(background) > 2
    assert np.abs(np.diff(background, axis=0)).max() < 0.5


def test_row_jitter_moves_rows_by_its_rms() -> None:
    plain = Scene(look=ONLY_TA, dose=CLEAN, view=View(rotation_deg=0, shape=(256, 512)))
    still, moved = pixels(plain) - 50, pixels(replace(plain, scan=Scan(row_jitter_pm=8))) - 50
    rows, slope = still.sum(axis=1) > 50, np.gradient(still, axis=1)
    shift = -((moved - still) * slope).sum(axis=1)[rows] / (slope**2).sum(axis=1)[rows]
    assert shift.std() * 10 == pytest.approx(8, rel=0.25)
    np.testing.assert_allclose(simulate(plain)[1].xy, simulate(replace(plain, scan=Scan(row_jitter_pm=8)))[1].xy)


def test_frames_drift_and_have_independent_noise() -> None:
    scene = Scene(scan=Scan(drift_pm=25), dose=Dose(frames=4), edge=Edge(), view=View(shape=(128, 128)))
    counts, truth = simulate_frames(scene)
    assert counts["HAADF"].shape == (4, 128, 128)
    assert truth.drift_px[0].tolist() == [0, 0]
    assert truth.drift_px.shape == (4, 2) and np.abs(truth.drift_px[1:]).min() > 0
    clean, _ = simulate_frames(replace(scene, dose=replace(CLEAN, frames=4), scan=Scan(drift_pm=25)))
    noise = counts["HAADF"] - clean["HAADF"]
    assert not (noise[0] == noise[1]).all()
    for frame, expected in zip(clean["HAADF"], truth.drift_px, strict=True):
        assert _shift(clean["HAADF"][0], frame) == pytest.approx(expected, abs=0.1)


def _shift(first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    """Sub-pixel shift (x, y) that the linear term of the difference gives, iterated by Fourier translation."""
    total = np.zeros(2)
    inner = np.s_[20:-20, 20:-20]
    fy, fx = np.meshgrid(np.fft.fftfreq(first.shape[0]), np.fft.fftfreq(first.shape[1]), indexing="ij")
    for _ in range(25):
        moved = np.fft.ifft2(np.fft.fft2(first) * np.exp(-2j * np.pi * (fx * total[0] + fy * total[1]))).real
        gy, gx = np.gradient(moved)
        jacobian = -np.stack([gx[inner].ravel(), gy[inner].ravel()], axis=1)
        total += np.linalg.lstsq(jacobian, (second - moved)[inner].ravel(), rcond=None)[0]
    return float(total[0]), float(total[1])


def test_averaged_frames_stand_still() -> None:
    scene = Scene(scan=Scan(drift_pm=25), dose=Dose(frames=16, dtype="float64"), view=View(shape=(128, 128)))
    micrograph, truth = simulate(scene)
    assert micrograph.frames == 16
    assert not truth.drift_px.any()
    pull = (micrograph.signals["HAADF"].image - truth.expected["HAADF"]) / np.sqrt(truth.expected["HAADF"] / 16)
    assert pull.std() == pytest.approx(1, abs=0.03)


def test_a_half_empty_picture() -> None:
    truth = simulate(Scene(edge=Edge(beyond="vacuum"), dose=CLEAN).facing(180))[1]
    assert truth.xy[:, 0].min() > 127
    np.testing.assert_allclose(truth.expected["HAADF"][:, :90], 50, atol=1e-3)


def test_nearest_column() -> None:
    truth = simulate(Scene(missing=0.1))[1]
    rows = np.flatnonzero(truth.present)
    np.testing.assert_array_equal(truth.nearest(truth.xy[rows] + 0.7), rows)
    gone = truth.xy[~truth.present]
    assert (truth.nearest(gone, within_px=3) == -1).all()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"zone": (1, 1, 1)}, "along 111 .* KTaO3"),
        ({"missing": 1.0}, "missing = 1"),
        ({"look": Look(tail=-0.1)}, "tail = -0.1"),
        ({"look": Look(amplitude={"Ti": 1.0})}, "site 'Ti' is not in KTaO3"),
        ({"dose": Dose(frames=0)}, "frames = 0"),
        ({"motion": Motion(site_pm={"Ti": (1.0, 2.0)})}, "site 'Ti' is not in KTaO3"),
        ({"motion": Motion(layers_pm=((1.0, 2.0),))}, "layers_pm needs an edge"),
    ],
)
def test_impossible_scenes_are_refused(wrong, message) -> None:
    with pytest.raises(RecipeError, match=message):
        Scene(**wrong)


def test_only_an_edge_can_face() -> None:
    with pytest.raises(RecipeError, match="no edge to turn"):
        Scene().facing(90)
    with pytest.raises(RecipeError, match="does not contain the zone axis"):
        Scene(edge=Edge(plane=(1, 0, 0))).facing(90)
