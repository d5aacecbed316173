"""The student edition in a real JupyterLab in a real browser, opened as a student opens it: every notebook runs to its
end with nothing solved, a slider is dragged, the picture changes. Skipped where there is no Chromium or Chrome
(tests/test_handout.py runs the student edition there), but not if REQUIRE_BROWSER=1."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat
import pytest
from handout import silent_stub, write
from kernels import BROWSER, surroundings
from refresh import METADATA

import start

ROOT = Path(__file__).resolve().parent.parent
BOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"]  # fmt: skip
OPEN = "async (path) => { await window.jupyterapp.commands.execute('docmanager:open', {path}); }"
OPENED = """() => { const w = window.jupyterapp.shell.currentWidget;
  return !!w?.sessionContext && !!w.context?.isReady && w.sessionContext.session?.kernel?.status === 'idle'; }"""
# Runs all cells; (source, execution count, outputs) of each cell that holds code, and the course_utils that they used
RUN = """async () => { const app = window.jupyterapp, w = app.shell.currentWidget;
  await app.commands.execute('notebook:run-all-cells');
  const cells = [...w.content.model.cells].filter(c => c.type === 'code' && c.sharedModel.source.trim());
  const asked = w.sessionContext.session.kernel.requestExecute({code: '', silent: true, store_history: false,
    user_expressions: {package: "__import__('course_utils').__file__"}});
  const where = (await asked.done).content.user_expressions.package.data['text/plain'];
  return [where, cells.map(c => [c.sharedModel.source, c.executionCount, c.outputs.toJSON().map(
    o => ({kind: o.name ?? o.output_type, text: o.text ?? o.evalue ?? '', error: o.ename}))])]; }"""
LEAVE = """async () => { const w = window.jupyterapp.shell.currentWidget;
  await w?.sessionContext?.shutdown(); w?.dispose(); }"""
PATIENCE = 150  # seconds that a page, a kernel or a picture may take on a busy machine
CHANGED = "([picture, before]) => picture.getAttribute('src') !== before"
PREDICT = """
from course_utils.teaching.predict import predict
predict("Which word gets the largest weight?", ["the first", "the last", "all the same"], answer="all the same",
        because="$e^0 = 1$ for every word.")
predict("How does it grow with $d$?", ["$d$", "$d^2$"], answer="$d$", because="Variances add.")
predict("How large is it?", answer=0.73, tolerance=0.02, because="So says the softmax.")
"""
COMPLAINTS = "[data-mime-type='application/vnd.jupyter.stderr'], .jp-RenderedError"
EXPLORER, BROKEN = ".widget-vbox:has(> .widget-image):has(.noUi-handle)", ".jupyter-widgets-error-widget"


BAD = {  # notebooks that must not pass, and what is said of them
    "stops": (["print(1)", "1 / 0", "print(2)"], ["ZeroDivisionError: division by zero", "cell 3 of 3 was not run"]),
    "runs on": (
        ["import sys\nprint('hm', file=sys.stderr)", "check_06_1 = lambda f: print('passed')", "check_06_1(max)",
         "import ipywidgets as w\nout = w.Output()\nwith out:\n    len(5)\nout",
         "import course_utils\ncourse_utils.__file__ = 'elsewhere'"],
        ["hm", "check_06_1(max)", "object of type 'int' has no len()", "another course_utils: 'elsewhere'"],
    ),
}  # fmt: skip


@pytest.fixture(scope="session")
def edition(tmp_path_factory) -> Path:
    """The folder of the student edition, with the copies that start.py makes for a student; some notebooks beside."""
    folder = tmp_path_factory.mktemp("handout") / "student edition"
    write(folder)
    start.copy_notebooks(folder / "notebooks", folder / "my_notebooks")
    for name, cells in {"predict": [PREDICT], **{name: cells for name, (cells, _) in BAD.items()}}.items():
        cells = [nbformat.v4.new_code_cell(cell) for cell in cells]
        nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=METADATA), folder / f"my_notebooks/{name}.ipynb")
    return folder


@pytest.fixture(scope="session")
def browser():
    if BROWSER is None:
        message = "no Chromium or Chrome on this computer (CHROMIUM=/path/to/it names one)"
        pytest.fail(message) if os.environ.get("REQUIRE_BROWSER") == "1" else pytest.skip(message)
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=1000 * PATIENCE)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=BROWSER, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def lab(browser, edition, tmp_path_factory):
    """The address of the JupyterLab that start.py opens on a student's copies; nothing of the user's own settings."""
    home = tmp_path_factory.mktemp("lab")
    with socket.socket() as some:
        some.bind(("127.0.0.1", 0))
        port = some.getsockname()[1]
    own = ("_CONFIG_DIR", "_DATA_DIR", "_RUNTIME_DIR", "LAB_SETTINGS_DIR", "LAB_WORKSPACES_DIR")
    command = start.lab_command(
        edition / "my_notebooks", "--no-browser", "--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0",
        "--IdentityProvider.token=", "--ServerApp.disable_check_xsrf=True", "--ServerApp.allow_root=True",
        "--LabApp.expose_app_in_browser=True",
    )  # fmt: skip
    with (home / "log.txt").open("w") as log:
        own = {f"JUPYTER{name}": str(home / name) for name in own}
        env = {**start.course_environment(), **surroundings(), **own, "PYTHONPATH": str(edition)}
        command[0] = sys.executable
        server = subprocess.Popen(command, env=env, stdout=log, stderr=subprocess.STDOUT, cwd=home)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(10 * PATIENCE):
            assert server.poll() is None, (home / "log.txt").read_text()[-2000:]
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{url}/api", timeout=1).read()
                break
            time.sleep(0.1)
        else:
            pytest.fail("JupyterLab does not answer")
        yield url
    finally:
        server.terminate()
        server.wait(PATIENCE)


class Student:
    """Whoever sits before JupyterLab: opens a notebook, runs it, closes it. One page for all notebooks, since loading
    JupyterLab costs more than opening one; after a failure the next test has a fresh page."""

    def __init__(self, browser, address: str) -> None:
        self.browser, self.address, self.page, self.errors = browser, address, None, []

    def open(self, name: str):
        """The page, with this notebook before the student and its kernel idle."""
        if self.page is None:
            self.page = self.browser.new_context(viewport={"width": 1280, "height": 1000}).new_page()
            self.page.set_default_timeout(1000 * PATIENCE)
            self.page.on("pageerror", lambda error: self.errors.append(str(error)))
            self.page.goto(f"{self.address}/lab?reset")
            self.page.wait_for_function("() => !!window.jupyterapp?.shell.currentWidget", polling=100)
        self.errors.clear()
        self.page.evaluate(OPEN, f"{name}.ipynb")
        self.page.wait_for_function(OPENED, polling=100)
        return self.page

    def run(self) -> tuple[list[str], str]:
        """What is wrong after all cells of the open notebook have run, and the course_utils that they used."""
        where, cells = self.page.evaluate(RUN)
        found = []
        for number, (source, count, outputs) in enumerate(cells, 1):
            said = "".join(output["text"] for output in outputs if output["kind"] == "stdout")
            found += [f"{o['error']}: {o['text']}\n{source}" for o in outputs if o["kind"] == "error"]
            found += [f"cell {number} of {len(cells)} was not run:\n{source}"] * (count != number)
            found += filter(None, [silent_stub(source, said) if count else None])
        complaints = self.page.locator(".jp-NotebookPanel").locator(COMPLAINTS).all_text_contents()
        return found + [text for text in complaints if not any(text[:40] in line for line in found)], where

    def leave(self) -> None:
        self.page.evaluate(LEAVE)

    def start_anew(self) -> None:
        """Whatever the page and its kernels hang in."""
        if self.page is not None:
            self.page.context.close()
            self.page = None
        with urllib.request.urlopen(f"{self.address}/api/kernels", timeout=PATIENCE) as running:
            for kernel in json.load(running):
                gone = urllib.request.Request(f"{self.address}/api/kernels/{kernel['id']}", method="DELETE")
                urllib.request.urlopen(gone, timeout=PATIENCE).close()


@pytest.fixture(scope="session")
def desk(browser, lab):
    student = Student(browser, lab)
    yield student
    student.start_anew()


@pytest.fixture
def student(desk, request):
    failed = request.session.testsfailed
    yield desk
    desk.leave() if request.session.testsfailed == failed else desk.start_anew()


@pytest.mark.parametrize("path", BOOKS, ids=lambda path: path.stem)
def test_a_student_runs_it_and_moves_a_slider(path, student, edition):
    from playwright.sync_api import expect

    page = student.open(path.stem)
    wrong, package = student.run()
    assert not wrong, "\n\n".join(wrong)
    assert package == repr(str(edition / "course_utils" / "__init__.py")), "the handout used another course_utils"
    book = page.locator(".jp-NotebookPanel")
    expect(page.get_by_text("Would you like to get notified")).to_have_count(0)

    expect(book.locator(f"{EXPLORER}, {BROKEN}").first).to_be_visible()
    assert not book.locator(BROKEN).all_inner_texts(), "a widget could not be shown"
    explorer = book.locator(EXPLORER).first
    handle, picture = explorer.locator(".noUi-handle").first, explorer.locator("img.widget-image").first
    expect(picture).to_be_visible()
    before, track = picture.get_attribute("src"), explorer.locator(".noUi-base").first
    far = 0.6 * track.bounding_box()["width"]  # another value even where there are only two
    for _ in range(4):  # pictures above that are still being laid out may push the slider away from the pointer
        handle.scroll_into_view_if_needed()
        box = at_rest(page, handle)
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        right = x < track.bounding_box()["x"] + track.bounding_box()["width"] / 2  # away from the nearer end
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + (far if right else -far), y, steps=8)
        page.mouse.up()
        if changes(page, picture, before, 5):
            break
    assert changes(page, picture, before, PATIENCE), "no new bytes from the kernel"
    for key in ("Home", "End") if right else ("End", "Home"):  # the keyboard alone does it, too
        before = picture.get_attribute("src")
        handle.press(key)
        assert changes(page, picture, before, PATIENCE), f"the key {key} changes nothing"
    assert not student.errors


def at_rest(page, locator) -> dict:
    """Where it lies, once it lies still for a quarter of a second."""
    before, still = None, 0
    for _ in range(200):
        now = locator.bounding_box()
        still, before = still + 1 if now == before else 0, now
        if still == 5:
            break
        page.wait_for_timeout(50)
    return before


def changes(page, picture, before: str, seconds: float) -> bool:
    from playwright.sync_api import TimeoutError

    try:
        page.wait_for_function(CHANGED, arg=[picture.element_handle(), before], timeout=1000 * seconds, polling=50)
    except TimeoutError:
        return False
    return True


@pytest.mark.parametrize("name", BAD)
def test_a_notebook_that_fails_is_seen(name, student):
    """A cell that raises and what comes after it; what goes to stderr, a stub that passes, an error in a widget."""
    student.open(name)
    wrong, where = student.run()
    said = "\n".join([*wrong, f"another course_utils: {where}"])
    assert wrong and all(word in said for word in BAD[name][1]), said


def test_a_prediction_is_made_with_the_keyboard(student):
    """Tab to the radio buttons, an arrow, Tab, Enter: the answer stands there; so with letters, and with a number."""
    from playwright.sync_api import expect

    page = student.open("predict")
    assert student.run()[0] == []
    book, keys = page.locator(".jp-NotebookPanel"), page.keyboard
    words, letters = book.get_by_role("radiogroup", name="Which word"), book.get_by_role("radiogroup", name="grow with")
    answers = book.get_by_role("alert")
    expect(words.get_by_role("radio")).to_have_count(3)
    expect(letters.get_by_role("radio")).to_have_count(2)
    expect(book.locator(".jp-OutputArea").get_by_text("Variances add.")).to_have_count(0)
    expect(book.locator("mjx-container").first).to_be_visible()  # math without a network

    book.locator(".cm-content").first.click()
    keys.press("Escape")
    for _ in range(5):  # whatever buttons the cell has
        keys.press("Tab")
        if words.get_by_role("radio", name="the first").evaluate("e => e === document.activeElement"):
            break
    keys.press("ArrowDown")
    expect(words.get_by_role("radio", name="the last")).to_be_checked()
    expect(words.get_by_role("radio", name="the last")).to_be_focused()
    for key in ("ArrowDown", "ArrowUp", "ArrowUp", "ArrowDown", "Tab"):  # faster than the kernel hears of it
        keys.press(key)
    expect(book.get_by_role("button", name="Commit").first).to_be_focused()
    assert answers.count() == 0
    keys.press("Enter")
    expect(answers).to_contain_text("You said: the last")
    expect(answers).to_contain_text("The answer is: all the same")
    expect(answers.locator("mjx-container")).to_be_visible()
    expect(words.get_by_role("radio", name="the last")).to_be_disabled()

    keys.press("Tab")
    for key in ("Space", "Tab", "Space"):  # A, Commit
        keys.press(key)
    expect(answers).to_have_count(2)
    expect(answers.last).to_contain_text("That is right. Variances add.")

    keys.press("Tab")
    keys.type("0,7")
    for key in ("Enter", "Tab", "Enter"):  # in the field Enter alone commits to nothing
        keys.press(key)
    expect(answers.last).to_have_text("“0,7” is not a number: write one like 0.5 or 12.")
    for key in ("Shift+Tab", "ControlOrMeta+a"):
        keys.press(key)
    keys.type("0.72")
    keys.press("Tab")
    expect(answers).to_have_count(2)  # the kernel has heard of the new number
    keys.press("Enter")
    expect(answers.last).to_contain_text("You said: 0.72")
    expect(answers.last).to_contain_text("The answer is 0.73. So says the softmax.")
    assert not student.errors
