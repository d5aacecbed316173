"""The language model of real plays that the course ships: trained for notebook 04, sampled from again in 10.

Made by `python -m benchmarks.scoreboard --retrain --only 04/lstm-256/plays/0`, which writes data/play_model.npz; its
origin, licence and checksum stand in data/README.md.
"""

import hashlib

from course_utils.data_files import ANEW, data_folder, missing
from course_utils.models.language_model import CharLanguageModel, load_model
from course_utils.text.vocabulary import Vocabulary

MODEL_FILE = "play_model.npz"
MODEL_SHA256 = "c6aaf324b113beba816ff841dc484832602fab4d7b9e191346fb1dbb3f18b0d6"


def load_play_model() -> tuple[CharLanguageModel, Vocabulary]:
    """The language model of 33 plays that the course ships in data/ (or the folder that COURSE_DATA names), with its
    vocabulary of characters. Raises FileNotFoundError or ValueError if the file is not there or not that one."""
    path = data_folder() / MODEL_FILE
    if not path.is_file():
        raise FileNotFoundError(missing(path))
    if hashlib.sha256(path.read_bytes()).hexdigest() != MODEL_SHA256:
        raise ValueError(f"{path} is not the model the course ships; {ANEW}.")
    return load_model(path)
