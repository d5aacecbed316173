"""pytest and nbval for the notebooks, stricter and fairer: loaded for `pytest --nbval notebooks/x.ipynb` as well.

nbval 0.11 executes a notebook and compares the text of its outputs. Added here:

- pictures are compared, pixel by pixel, if the same matplotlib drew both (another one brings other fonts), with their
  alt texts;
- what an Output widget catches is not taken for output of the cell; a slow message has 60 s to arrive, not 5;
- with `-n 2` a file stays with one process, since a notebook is one kernel; what runs a notebook once more (the
  browser, or without one the student edition) goes to whichever process is free; what takes long comes first, and at
  the end stands how long each process had nothing to do;
- no test can hang: setting up, running and tearing down an item, a notebook's cell too, each have `test_limit` seconds;
- the last item of a notebook is its cost: the CPU seconds of its kernel beside the budget (it fails above twice the
  budget) and how many of its output cells are compared. A notebook that computes or compares nothing fails.
"""

import base64
import io
import os
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest
from nbval import plugin as nbval
from PIL import Image
from xdist.scheduler import LoadScopeScheduling

sys.path.insert(0, str(Path(__file__).resolve().parent / "tests"))
from kernels import BROWSER, surroundings  # noqa: E402
from limits import at_most  # noqa: E402

os.environ.update(surroundings())

LARGE, SHARE = 24, 2e-4  # a pixel differs if a channel moves by more than LARGE of 255; at most this share of them may
ALONE = ("test_browser.py" if BROWSER else "test_handout.py",)  # files whose tests may run apart
SLOW = ("test_widgets.py", "test_nbval_additions.py", "test_corpus.py", "test_exercises.py", "test_scoreboard.py",
        "test_controls_wired.py", "test_drawn_maps.py", "test_check_environment.py",
        "test_limits.py")  # files that take more than ten seconds
PATIENCE = 60  # seconds a message may take after the cell has replied


def pytest_addoption(parser):
    parser.addini("notebook_budget", "CPU seconds a notebook may take; it fails above twice as many", default="60")
    parser.addini("test_limit", "seconds that an item's set-up, run and tear-down may each take", default="900")
    parser.addini("notebook_floor", "CPU seconds a notebook takes at least, if it does anything", default="1")


class Files(LoadScopeScheduling):
    """Which process runs what: the tests of a file together, those of ALONE each where there is room."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::")[0]
        return nodeid if Path(file).name in ALONE else file

    def _assign_work_unit(self, node) -> None:
        """The costliest that is left, so that both processes end with something small."""
        self.workqueue.move_to_end(max(self.workqueue, key=cost), last=False)
        super()._assign_work_unit(node)


def cost(scope: str) -> int:
    """How early this should run, whatever else there is; among equals the file with the most tests comes first."""
    name = Path(scope.split("::")[0]).name
    return 3 * (name in ALONE) or 2 * name.endswith(".ipynb") or int(name in SLOW)


def pytest_xdist_make_scheduler(config, log):
    return Files(config, log)


# ------------------------------------------------------------------------------------- no test can hang


def limited(what: str):
    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def hook(item):
        with at_most(float(item.config.getini("test_limit")), f"{what} {item.nodeid}"):
            return (yield)

    return hook


pytest_runtest_setup, pytest_runtest_call = limited("setting up"), limited("running")
pytest_runtest_teardown = limited("tearing down")


# ----------------------------------------------------------------------------------- comparing outputs


def difference_of_pictures(new: str, old: str) -> str | None:
    """What differs between two PNGs (base64); None if nothing, or if two versions of matplotlib drew them."""
    if new.strip() == old.strip():
        return None
    new, old = (Image.open(io.BytesIO(base64.b64decode(picture))) for picture in (new, old))
    if new.info.get("Software") != old.info.get("Software"):
        return None
    if new.size != old.size:
        return f"size {old.size} became {new.size}"
    new, old = (np.asarray(picture.convert("RGBA"), dtype=np.int16) for picture in (new, old))
    share = float((np.abs(new - old).max(axis=-1) > LARGE).mean())
    return f"{share:.3%} of the pixels differ" if share > SHARE else None


def differences(new: list, old: list) -> list[str]:
    """What nbval does not compare between the outputs of a cell: its pictures and their alt texts."""
    new, old = ([o for o in outputs if "image/png" in o.get("data", {})] for outputs in (new, old))
    if len(new) != len(old):
        return [f"{len(old)} stored pictures, {len(new)} now"]
    found = []
    for number, (n, o) in enumerate(zip(new, old, strict=True), 1):
        alt_new, alt_old = (p.get("metadata", {}).get("image/png", {}).get("alt") for p in (n, o))
        if why := difference_of_pictures(n["data"]["image/png"], o["data"]["image/png"]):
            found.append(f"picture {number}: {why}")
        if alt_new != alt_old:
            found.append(f"picture {number}: alt text {alt_old!r} became {alt_new!r}")
    return found


text_is_equal = nbval.IPyNbCell.compare_outputs
next_message = nbval.IPyNbFile.get_kernel_message
cells_of = nbval.IPyNbFile.collect


def compare_outputs(self, test, ref, skip_compare=None):
    if not text_is_equal(self, test, ref, skip_compare):
        return False
    why = differences(test, ref)
    self.comparison_traceback.extend(why)
    return not why


def get_kernel_message(self, timeout=None, stream="iopub"):
    """The next message that no Output widget catches. Such a widget says which request's messages it catches."""
    catching = self.__dict__.setdefault("_output_widgets", {})  # comm id -> id of the request, "" for none
    while True:
        message = next_message(self, timeout=timeout, stream=stream)
        kind, content = message["msg_type"], message["content"]
        state = content.get("data", {}).get("state", {}) if kind in ("comm_open", "comm_msg") else {}
        if kind == "comm_open" and state.get("_model_name") == "OutputModel":
            catching[content["comm_id"]] = state.get("msg_id", "")
        elif kind == "comm_msg" and content["comm_id"] in catching and "msg_id" in state:
            catching[content["comm_id"]] = state["msg_id"]
        caught = message["parent_header"].get("msg_id") in set(catching.values()) - {""}
        if not (caught and kind in ("stream", "display_data", "execute_result", "clear_output", "update_display_data")):
            return message


# ------------------------------------------------------------------------------- what a notebook costs


class TooMuchOrNothing(Exception):
    """A notebook far beyond its budget, or one that proves nothing; the message is the whole report."""


class Cost(pytest.Item):
    """The last item of a notebook."""

    def runtest(self):
        budget, floor = (float(self.config.getini(f"notebook_{name}")) for name in ("budget", "floor"))
        cells = [cell for cell in self.parent.session.items if cell.parent is self.parent and hasattr(cell, "cell")]
        shown = [cell for cell in cells if cell.cell.outputs]
        compared = sum(bool(cell.options["check"]) for cell in shown)
        spent = psutil.Process(self.parent.kernel.km.provisioner.pid).cpu_times()
        seconds = spent.user + spent.system
        self.user_properties.append(("notebook cost", (self.path.stem, round(seconds, 1), compared, len(shown))))
        if seconds > 2 * budget:
            raise TooMuchOrNothing(f"{seconds:.0f} CPU seconds; the budget is {budget:.0f}, twice of it the limit")
        if seconds < floor:
            raise TooMuchOrNothing(f"{seconds:.2f} CPU seconds, less than {floor:g}: this notebook computes nothing")
        if not compared and not self.config.option.nbval_lax:
            raise TooMuchOrNothing("no output is stored and compared: this notebook proves nothing (tests/refresh.py)")

    def repr_failure(self, excinfo):
        return str(excinfo.value) if excinfo.errisinstance(TooMuchOrNothing) else super().repr_failure(excinfo)

    def reportinfo(self):
        return self.path, None, f"{self.path.name}::{self.name}"


def collect(self):
    for cell in cells_of(self):
        cell.output_timeout = PATIENCE
        yield cell
    yield Cost.from_parent(self, name="cost")


def idle(reports: list) -> str:
    """How long each process had nothing to do, from the first test's beginning to the last one's end."""
    ran: dict[str, list] = {}
    for report in reports:
        if hasattr(report, "node") and hasattr(report, "stop"):
            ran.setdefault(report.node.gateway.id, []).append(report)
    if not ran:
        return ""
    times = [time for some in ran.values() for report in some for time in (report.start, report.stop)]
    span = max(times) - min(times)
    shares = (f"{name} {span - sum(report.duration for report in some):.0f} s" for name, some in sorted(ran.items()))
    return f"{span:.0f} s of tests; idle: {', '.join(shares)}"


nbval.IPyNbCell.compare_outputs = compare_outputs
nbval.IPyNbFile.get_kernel_message = get_kernel_message
nbval.IPyNbFile.collect = collect


def pytest_terminal_summary(terminalreporter, config):
    reports = [report for some in terminalreporter.stats.values() for report in some]
    if line := idle(reports):
        terminalreporter.line(line)
    properties = [item for report in reports for item in getattr(report, "user_properties", ())]
    costs = sorted({value for name, value in properties if name == "notebook cost"})
    if not costs:
        return
    terminalreporter.section("notebooks")
    terminalreporter.line(f"{'':40} CPU s   budget {config.getini('notebook_budget'):>4}   output cells compared")
    for name, seconds, compared, shown in costs:
        over = "over" if seconds > float(config.getini("notebook_budget")) else "ok"
        terminalreporter.line(f"{name:40} {seconds:5.1f}   {over:>11}   {compared}/{shown}")
