"""The language model of real plays that the course ships: trained for notebook 04, sampled from again in 10.

Made by `python -m benchmarks.scoreboard --retrain --only 04/lstm-256/plays/0`, which writes data/play_model.npz; its
origin, licence and checksum stand in data/README.md.
"""

import hashlib
import os
from pathlib import Path

from course_utils.models.language_model import CharLanguageModel, load_model
from course_utils.text.vocabulary import Vocabulary

MODEL_FILE = "play_model.npz"
MODEL_SHA256 = "c6aaf324b113beba816ff841dc484832602fab4d7b9e191346fb1dbb3f18b0d6"


def load_play_model() -> tuple[CharLanguageModel, Vocabulary]:
    """The language model of 33 plays that the course ships in data/ (or the folder that COURSE_DATA names), with its
    vocabulary of characters. Raises FileNotFoundError or ValueError if the file is not there or not that one."""
    root = os.environ.get("COURSE_DATA")
    path = (Path(root) if root else Path(__file__).resolve().parents[2] / "data") / MODEL_FILE
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}; get the folder data/ anew: git checkout -- data.")
    if hashlib.sha256(path.read_bytes()).hexdigest() != MODEL_SHA256:
        raise ValueError(f"{path} is not the model the course ships; get the folder data/ anew: git checkout -- data.")
    return load_model(path)
