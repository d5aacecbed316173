"""Quick redraws: what they leave out, and that the picture is the same."""

import gc
import io

import ipywidgets as w
import numpy as np
import pytest
from matplotlib import rcParams
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from PIL import Image

from course_utils.plots import style
from course_utils.plots.curves import bars_with_seeds
from course_utils.widgets import Explorer


def draw(n: int) -> Figure:
    return bars_with_seeds({f"bar {k}": [k / 10, k / 12] for k in range(1, n + 1)}, title=f"$x^2$ of {n}")


def explorer(n: int = 3) -> Explorer:
    return Explorer(draw, alt="A few bars of growing length.", n=w.IntSlider(n, 1, 6))


def pixels(picture: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(picture)).convert("RGB")).astype(int)


def test_there_and_back_is_a_fresh_picture():
    moved = explorer(3)
    moved.controls["n"].value = 5
    assert bytes(moved.picture.value) == bytes(explorer(5).picture.value)
    moved.controls["n"].value = 3
    assert bytes(moved.picture.value) == bytes(explorer(3).picture.value)


def test_the_quick_picture_shows_what_the_patient_one_shows():
    quick, patient = style.to_png(draw(4), quick=True), style.to_png(draw(4))
    assert (pixels(quick) == pixels(patient)).all() and len(patient) < len(quick)
    assert style.packed(quick) == patient, "what a notebook stores"
    stored = Image.open(io.BytesIO(patient))
    stored.verify()
    assert stored.mode == "RGB" and stored.info["Software"].startswith("Matplotlib version")


@pytest.mark.parametrize("angle", [0, 30, 90])
@pytest.mark.parametrize("said", ["Affe, ½ → σ", r"$\frac{1}{2} + x_i^2$", "two\nlines", "   "])
def test_a_stamped_text_is_matplotlibs(said, angle, monkeypatch):
    def shown() -> np.ndarray:
        figure, axes = style.canvas_in_inches(3.0, 2.0)
        for k, (x, y) in enumerate(((1.5, 1.0), (1.501, 1.007), (0.0, 0.1), (2.97, 1.9))):  # the last two are cut off
            axes.text(x, y, said, rotation=angle, color=style.SERIES[k], alpha=0.8, fontsize=12 + k)
        return pixels(style.to_png(figure))

    stamped = shown()
    assert (shown() == stamped).all(), "from the cache as at first"
    monkeypatch.setattr(style.Renderer, "draw_text", RendererAgg.draw_text)
    assert np.abs(stamped - shown()).max() <= 8, "letters that touch are laid over each other once"


def test_a_word_is_set_once():
    moved = explorer(3)
    moved.controls["n"].value = 4
    set_before = style._inked.cache_info().misses
    moved.controls["n"].value = 3
    moved.controls["n"].value = 4
    assert style._inked.cache_info().misses == set_before


def test_no_axis_measures_its_ticks_to_place_a_title_or_no_name(monkeypatch):
    """Counted: how often the boxes of tick labels are worked out for a picture of one axes with a title."""
    from matplotlib.axis import Axis

    boxes, counted = Axis._get_ticklabel_bboxes, []
    monkeypatch.setattr(Axis, "_get_ticklabel_bboxes", lambda *a: counted.append(1) or boxes(*a))
    with style.house_style():
        figure = style.new_figure(4.0, 3.0)
        figure.add_axes((0.1, 0.1, 0.8, 0.7), title="a title")
    style.to_png(figure, quick=True)
    assert len(counted) == 2, "once for each axis"


def test_nothing_is_collected_while_a_student_waits_and_nothing_piles_up():
    on = []

    def watched(n: int) -> Figure:
        on.append(gc.isenabled())
        return draw(n)

    moved = Explorer(watched, alt="A few bars of growing length.", n=w.IntSlider(1, 1, 6))

    def alive() -> int:
        gc.collect()
        return sum(isinstance(thing, Figure) for thing in gc.get_objects())

    before = alive()
    on.clear()
    for n in (2, 3, 4, 5, 6):
        moved.controls["n"].value = n
    assert on == [False] * 5 and gc.isenabled() and alive() <= before
    gc.disable()
    try:
        moved.controls["n"].value = 1
        assert not gc.isenabled(), "who has switched it off wants it off"
    finally:
        gc.enable()


def test_a_block_of_style_in_a_block_changes_nothing():
    before = dict.copy(rcParams)
    try:
        rcParams["font.size"] = 31.0
        with style.house_style():
            with style.house_style():
                assert rcParams["font.size"] == style.NORMAL
            assert rcParams["font.size"] == style.NORMAL
        assert rcParams["font.size"] == 31
        with pytest.raises(ZeroDivisionError), style.house_style():
            1 / 0  # noqa: B018
        assert rcParams["font.size"] == 31
    finally:
        dict.update(rcParams, before)


def test_a_new_tick_is_like_the_first_and_is_not_copied(monkeypatch):
    def shown() -> bytes:
        with style.house_style():
            figure = style.new_figure(4.0, 3.0)
            axes = figure.add_axes((0.2, 0.2, 0.7, 0.6), xlim=(0, 5), ylim=(0, 2))
        axes.tick_params(axis="x", length=9, labelsize=style.LARGE, labelcolor=style.BLUE)
        axes.grid(color=style.VERMILLION, lw=3)  # clipped to the outline, as the first one is
        return style.to_png(figure)

    quick = shown()
    copied = Line2D.update_from
    monkeypatch.setattr(Line2D, "update_from", lambda *_: pytest.fail("a tick is copied"))
    assert shown() == quick
    monkeypatch.setattr(Line2D, "update_from", copied)
    monkeypatch.setattr(style.Page, "add_axes", Figure.add_axes)
    assert (pixels(shown()) == pixels(quick)).all(), "matplotlib's ticks, copied"


def test_limits_set_by_hand_are_not_sought(monkeypatch):
    from matplotlib.axes import Axes

    sought = []
    for name in ("_update_patch_limits", "_update_line_limits"):
        monkeypatch.setattr(Axes, name, lambda *_, name=name: sought.append(name))
    figure, axes = style.canvas_in_inches(4.0, 3.0)
    axes.add_patch(Rectangle((1, 1), 9, 9))
    axes.plot([0, 9], [0, 9])
    style.line(axes, [0, 9], [9, 0], color=style.BLUE)
    style.to_png(figure)
    assert sought == [] and axes.get_xlim() == (0, 4) and axes.get_ylim() == (0, 3)


def test_a_line_is_what_plot_draws():
    def shown(draw) -> np.ndarray:
        figure, axes = style.canvas_in_inches(4.0, 3.0)
        draw(axes, [0.5, 2, 9], [1, 2.5, 0], color=style.BLUE, lw=3, ls="--")
        return pixels(style.to_png(figure))

    assert (shown(style.line) == shown(lambda axes, *at, **look: axes.plot(*at, **look))).all()
