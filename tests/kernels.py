"""The surroundings in which the course's notebooks are executed, by nbval, refresh.py, handout.py and the browser test:
one torch thread, this environment's kernel, and none of the user's own IPython or matplotlib settings; and which
browser there is."""

import importlib.util
import os
import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
BROWSER = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


def surroundings() -> dict[str, str]:
    """Environment variables to set before a kernel starts."""
    matplotlib = Path(importlib.util.find_spec("matplotlib").origin).parent
    own = {name: ROOT / "build" / name for name in ("ipython", "matplotlib")}
    for folder in own.values():
        folder.mkdir(parents=True, exist_ok=True)
    return {
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"),
        "JUPYTER_PREFER_ENV_PATH": "1",
        "IPYTHONDIR": str(own["ipython"]),
        "MPLCONFIGDIR": str(own["matplotlib"]),  # and its list of fonts, which another environment may have spoilt
        "MATPLOTLIBRC": str(matplotlib / "mpl-data" / "matplotlibrc"),
    }
