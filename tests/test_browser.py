"""Every notebook in a real JupyterLab in a real browser, opened as a student opens it: all cells run without an error,
a slider is dragged, the picture changes. Skipped where there is no Chromium or Chrome, but not if REQUIRE_BROWSER=1."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat
import pytest
from kernels import surroundings
from refresh import METADATA

import start

ROOT = Path(__file__).resolve().parent.parent
BOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
BROWSER = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"]  # fmt: skip
OPENED = """() => { const w = window.jupyterapp?.shell.currentWidget;
  return !!w?.sessionContext && !!w.context?.isReady && w.sessionContext.session?.kernel?.status === 'idle'; }"""
RUN = """async () => { const app = window.jupyterapp, w = app.shell.currentWidget;
  await app.commands.execute('notebook:run-all-cells');
  return [...w.content.model.cells].filter(c => c.type === 'code' && c.sharedModel.source.trim())
    .map(c => c.executionCount); }"""
PREDICT = """
from course_utils.teaching.predict import predict
predict("Which word gets the largest weight?", ["the first", "the last", "all the same"], answer="all the same",
        because="$e^0 = 1$ for every word.")
predict("How does it grow with $d$?", ["$d$", "$d^2$"], answer="$d$", because="Variances add.")
predict("How large is it?", answer=0.73, tolerance=0.02, because="So says the softmax.")
"""
COMPLAINTS = "[data-mime-type='application/vnd.jupyter.stderr'], .jp-RenderedError"
EXPLORER, BROKEN = ".widget-vbox:has(> .widget-image):has(.noUi-handle)", ".jupyter-widgets-error-widget"


@pytest.fixture(scope="session")
def browser():
    if BROWSER is None:
        message = "no Chromium or Chrome on this computer (CHROMIUM=/path/to/it names one)"
        pytest.fail(message) if os.environ.get("REQUIRE_BROWSER") == "1" else pytest.skip(message)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=BROWSER, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    """The address of the JupyterLab that start.py opens, on copies of the notebooks that start.py made; nothing of the
    user's own settings."""
    home = tmp_path_factory.mktemp("lab")
    start.copy_notebooks(mine=home / "my_notebooks")
    asked = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(PREDICT)], metadata=METADATA)
    nbformat.write(asked, home / "my_notebooks" / "predict.ipynb")
    with socket.socket() as some:
        some.bind(("127.0.0.1", 0))
        port = some.getsockname()[1]
    own = ("_CONFIG_DIR", "_DATA_DIR", "_RUNTIME_DIR", "LAB_SETTINGS_DIR", "LAB_WORKSPACES_DIR")
    command = start.lab_command(
        home / "my_notebooks", "--no-browser", "--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0",
        "--IdentityProvider.token=", "--ServerApp.disable_check_xsrf=True", "--ServerApp.allow_root=True",
        "--LabApp.expose_app_in_browser=True",
    )  # fmt: skip
    with (home / "log.txt").open("w") as log:
        own = {f"JUPYTER{name}": str(home / name) for name in own}
        env = {**start.course_environment(), **surroundings(), **own}
        command[0] = sys.executable
        server = subprocess.Popen(command, env=env, stdout=log, stderr=subprocess.STDOUT, cwd=home)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            assert server.poll() is None, (home / "log.txt").read_text()[-2000:]
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{url}/api", timeout=1).read()
                break
            time.sleep(0.1)
        yield url
    finally:
        server.terminate()
        server.wait(30)


def run_all(address: str, browser):
    """(page, its errors): the notebook at this address, all of whose cells have run without a complaint."""
    page, errors = browser.new_context(viewport={"width": 1280, "height": 1000}).new_page(), []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(address)
    page.wait_for_function(OPENED, timeout=60_000)
    page.set_default_timeout(300_000)
    counts = page.evaluate(RUN)
    assert counts == list(range(1, len(counts) + 1)), "not every cell ran"
    complaints = page.locator(".jp-NotebookPanel").locator(COMPLAINTS)
    assert complaints.all_text_contents() == []
    return page, errors


@pytest.mark.parametrize("path", BOOKS, ids=lambda path: path.stem)
def test_a_slider_moves_the_picture(path, browser, lab):
    from playwright.sync_api import expect

    page, errors = run_all(f"{lab}/lab/tree/{path.name}?reset", browser)
    book = page.locator(".jp-NotebookPanel")
    expect(page.get_by_text("Would you like to get notified")).to_have_count(0)

    page.set_default_timeout(30_000)
    expect(book.locator(f"{EXPLORER}, {BROKEN}").first).to_be_visible(timeout=30_000)
    assert not book.locator(BROKEN).all_inner_texts(), "a widget could not be shown"
    explorer = book.locator(EXPLORER).first
    handle, picture = explorer.locator(".noUi-handle").first, explorer.locator("img.widget-image").first
    expect(picture).to_be_visible(timeout=30_000)
    before, track = picture.get_attribute("src"), explorer.locator(".noUi-base").first
    far = 0.6 * track.bounding_box()["width"]  # another value even where there are only two
    for _ in range(4):  # pictures above that are still being laid out may push the slider away from the pointer
        handle.scroll_into_view_if_needed()
        page.wait_for_timeout(1000)
        box = handle.bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        right = x < track.bounding_box()["x"] + track.bounding_box()["width"] / 2  # away from the nearer end
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + (far if right else -far), y, steps=8)
        page.mouse.up()
        page.wait_for_timeout(2000)
        if picture.get_attribute("src") != before:
            break
    expect(picture).not_to_have_attribute("src", before, timeout=30_000)  # new bytes from the kernel
    for key in ("Home", "End") if right else ("End", "Home"):  # the keyboard alone does it, too
        before = picture.get_attribute("src")
        handle.press(key)
        expect(picture).not_to_have_attribute("src", before, timeout=30_000)
    assert not errors
    page.context.close()


def test_a_prediction_is_made_with_the_keyboard(browser, lab):
    """Tab to the radio buttons, an arrow, Tab, Enter: the answer stands there; so with letters, and with a number."""
    from playwright.sync_api import expect

    page, errors = run_all(f"{lab}/lab/tree/predict.ipynb?reset", browser)
    page.set_default_timeout(30_000)
    book, keys = page.locator(".jp-NotebookPanel"), page.keyboard
    words, letters = book.get_by_role("radiogroup", name="Which word"), book.get_by_role("radiogroup", name="grow with")
    answers = book.get_by_role("alert")
    expect(words.get_by_role("radio")).to_have_count(3, timeout=30_000)
    expect(letters.get_by_role("radio")).to_have_count(2)
    expect(book.locator(".jp-OutputArea").get_by_text("Variances add.")).to_have_count(0)
    expect(book.locator("mjx-container").first).to_be_visible(timeout=30_000)  # math without a network

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
    assert not errors
    page.context.close()
