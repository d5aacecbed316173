"""What conftest.py decides, each rule at its edge (tests/test_nbval_additions.py runs it inside nbval)."""

import base64
import io
import types

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

import conftest

SIDE = 100  # 10,000 pixels: two of them are the share that may differ


def picture(change=0, pixels=0, channel=0, shape=(SIDE, SIDE), software="Matplotlib version3, x", level=100):
    """A grey PNG in base64 of which some pixels are changed in one channel."""
    values = np.full((*shape, 4), level, dtype=np.uint8)
    values.reshape(-1, 4)[:pixels, channel] += np.uint8(change)
    info, out = PngImagePlugin.PngInfo(), io.BytesIO()
    info.add_text("Software", software)
    Image.fromarray(values).save(out, "png", pnginfo=info)
    return base64.b64encode(out.getvalue()).decode()


@pytest.mark.parametrize("channel", range(4))
@pytest.mark.parametrize(
    ("change", "pixels", "differs"),
    [(24, SIDE * SIDE, False), (25, 2, False), (25, 3, True), (100, 2, False), (100, 3, True), (1, 9999, False)],
)
def test_a_pixel_differs_beyond_24_and_two_of_ten_thousand_may(change, pixels, channel, differs):
    for new, old in ((picture(change, pixels, channel), picture()), (picture(), picture(change, pixels, channel))):
        said = conftest.difference_of_pictures(new, old)
        assert (said is not None) == differs, said
        assert not differs or "of the pixels differ" in said


def test_pictures_of_another_size_or_another_matplotlib():
    said = conftest.difference_of_pictures(picture(shape=(90, 100)), picture())
    assert said == "size (100, 100) became (100, 90)"
    for change in ({"shape": (90, 100)}, {"change": 90, "pixels": 500}):
        assert conftest.difference_of_pictures(picture(**change, software="Matplotlib version4, x"), picture()) is None
    assert conftest.difference_of_pictures(f"\n{picture()}\n", picture()) is None


def output(png=None, alt=None):
    data = {"text/plain": "x"} | ({"image/png": png} if png else {})
    return {"data": data, "metadata": {"image/png": {"alt": alt}} if alt else {}}


def test_pictures_and_alt_texts_are_compared_in_their_order():
    one, other, text = output(picture(), "one"), output(picture(level=200), "other"), output()
    assert conftest.differences([one, text, other], [text, one, other]) == []
    assert conftest.differences([one, other], [one]) == ["1 stored pictures, 2 now"]
    assert len(conftest.differences([other, one], [one, other])) == 4  # both pictures, both alt texts
    assert conftest.differences([output(picture(), "one")], [output(picture(), "two")]) == [
        "picture 1: alt text 'two' became 'one'"
    ]
    assert conftest.differences([output(picture())], [one]) == ["picture 1: alt text 'one' became None"]
    assert [said[:9] for said in conftest.differences([one, one], [one, other])] == ["picture 2", "picture 2"]


def spent(monkeypatch, user, system=0.0, outputs=3, compared=3, lax=False):
    """Let the last item of a notebook judge a kernel that has taken so many CPU seconds; budget 60, floor 1."""
    times = types.SimpleNamespace(user=user, system=system, children_user=500.0, children_system=500.0)
    monkeypatch.setattr(conftest.psutil, "Process", lambda pid: types.SimpleNamespace(cpu_times=lambda: times))
    parent = types.SimpleNamespace(kernel=types.SimpleNamespace(km=types.SimpleNamespace(
        provisioner=types.SimpleNamespace(pid=1))))  # fmt: skip
    cells = [
        types.SimpleNamespace(parent=parent, cell=types.SimpleNamespace(outputs=[1] * (k < outputs)),
                              options={"check": k < compared}) for k in range(4)
    ]  # fmt: skip
    foreign = types.SimpleNamespace(parent=None, cell=types.SimpleNamespace(outputs=[1]), options={"check": True})
    parent.session = types.SimpleNamespace(items=[*cells, foreign, types.SimpleNamespace(parent=parent)])
    settings = {"notebook_budget": "60", "notebook_floor": "1"}
    item = types.SimpleNamespace(
        config=types.SimpleNamespace(getini=settings.__getitem__, option=types.SimpleNamespace(nbval_lax=lax)),
        parent=parent, path=types.SimpleNamespace(stem="07_attention"), user_properties=[],
    )  # fmt: skip
    conftest.Cost.runtest(item)
    return item.user_properties


def test_a_notebook_fails_above_twice_its_budget_and_below_the_floor(monkeypatch):
    assert spent(monkeypatch, 100.0, 19.9) == [("notebook cost", ("07_attention", 119.9, 3, 3))]
    with pytest.raises(conftest.TooMuchOrNothing, match="120 CPU seconds; the budget is 60"):
        spent(monkeypatch, 100.0, 20.1)  # the system's seconds count too
    assert spent(monkeypatch, 0.6, 0.5)
    with pytest.raises(conftest.TooMuchOrNothing, match="computes nothing"):
        spent(monkeypatch, 0.5, 0.4)


def test_a_notebook_of_which_nothing_is_compared_fails(monkeypatch):
    assert spent(monkeypatch, 5.0, outputs=3, compared=1) == [("notebook cost", ("07_attention", 5.0, 1, 3))]
    for outputs, compared in ((0, 4), (3, 0)):
        with pytest.raises(conftest.TooMuchOrNothing, match="proves nothing"):
            spent(monkeypatch, 5.0, outputs=outputs, compared=compared)
        assert spent(monkeypatch, 5.0, outputs=outputs, compared=compared, lax=True)


def test_only_what_runs_a_notebook_again_may_leave_its_file():
    split = conftest.Files._split_scope
    again, other = ("test_browser.py", "test_handout.py")[:: 1 if conftest.BROWSER else -1]
    assert split(None, f"tests/{again}::test_x[1]") == f"tests/{again}::test_x[1]"
    for name in (f"tests/{other}::test_x[1]", "tests/test_text.py::test_x[1]", "notebooks/07_attention.ipynb::Cell 3",
                 "tests/test_text.py::T::x"):  # fmt: skip
        assert split(None, name) == name.split("::")[0]
