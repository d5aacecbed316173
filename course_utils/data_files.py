"""Where the files lie that the course ships in data/: beside the package, or in the folder that COURSE_DATA names.

A wheel brings the package alone, without data/: then `missing` says so, whichever file is asked for first.
"""

import os
from pathlib import Path

BESIDE = Path(__file__).resolve().parents[1] / "data"
ANEW = "get the folder data/ anew: git checkout -- data"


def data_folder() -> Path:
    """The folder data/ of the course, there or not."""
    return Path(os.environ.get("COURSE_DATA") or BESIDE)


def missing(path: Path, remedy: str = ANEW) -> str:
    """One sentence for a file of data/ that is not there: `remedy`, unless the whole folder is missing."""
    if not data_folder().is_dir():
        remedy = ("course_utils was installed without the course's data, so set COURSE_DATA to the folder data/ of a "
                  "copy of the course, or install from such a copy with pip install --editable FOLDER")  # fmt: skip
    return f"there is no file {path}; {remedy}."
