"""Nothing a test waits for may last for ever: one limit for each test, and one for each program that it starts."""

import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def at_most(seconds: float, what: str) -> Iterator[None]:
    """Fail, at the line that is waiting, when the block lasts longer. Not on Windows, which has no alarm, nor in a
    thread: there pytest's own `faulthandler_timeout` still writes where everything stands."""
    if not hasattr(signal, "SIGALRM") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(*_):
        pytest.fail(f"no end after {seconds:g} s: {what} (test_limit in pyproject.toml)")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds, min(seconds, 30))       # again, if cleaning up waits too
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def finished(command: list[str], what: str, seconds: float = 300, **options) -> subprocess.CompletedProcess:
    """`command`, run to its end, with its output as text; a failure that says what was waited for if there is none."""
    try:
        return subprocess.run(command, timeout=seconds, capture_output=True, text=True, **options)
    except subprocess.TimeoutExpired as late:
        said = b"\n".join(part[-2000:] for part in (late.stdout, late.stderr) if part).decode(errors="replace")
        pytest.fail(f"waited {seconds:g} s for {what}: {' '.join(map(str, command))[:300]}\n{said}")
