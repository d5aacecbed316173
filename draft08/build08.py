"""Writes notebooks/08_attention_scores.ipynb from the cells below (outputs come from tests/refresh.py)."""
import itertools
import sys
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))
from hygiene import GUARD  # noqa: E402

cells, count = [], itertools.count()


def md(text):
    cells.append(new_markdown_cell(text.strip("\n"), id=f"c08-{next(count):03d}"))


def code(text, *, fold=False, loose=False, solution=False):
    tags = ["nbval-ignore-output"] * loose + ["solution"] * solution + ["hide-input"] * (fold or solution)
    meta = {"jupyter": {"source_hidden": True}} if fold or solution else {}
    cells.append(new_code_cell(text.strip("\n"), metadata=meta | ({"tags": tags} if tags else {}), id=f"c08-{next(count):03d}"))


md(r"""
# 08 · How do query and key agree?

Notebook 07 compared a query with a key by one formula, Bahdanau's additive score. There are many others: a dot product, a
cosine, a matrix in between, even a score that never looks at the key. In this notebook we put them side by side, first on
three words, where every number can be checked by hand, and then in one translator, where we can measure which of the
differences matter.

**In class: 60 min** · at home: 55 min · computing: about 50 s

**Objectives.** After this class you can

1. write down the usual scores, work each of them out by hand, and program it in one line;
2. say how sharp the weights of a score can become, and repair a score that cannot become sharp;
3. explain what the $\sqrt d$ of the scaled dot product is for, and on what it depends whether it is needed;
4. say of any attentive decoder which state asks, where the context goes, and what input feeding adds;
5. read a table of models in which a good translation and a good alignment are two different things.

**Prerequisites.** Notebook 07: query, keys, values, softmax and context; one step of Luong's and one of Bahdanau's decoder;
the alignment error rate.

**Where the idea comes from.** Graves, Wayne and Danihelka (2014) addressed a memory by the cosine. Bahdanau, Cho and Bengio
(2015) used one score and compared it with no other; in the same year Luong, Pham and Manning tried four. Vaswani and others
(2017) divided the dot product by $\sqrt d$.
""")

code(GUARD + """
import math
from statistics import fmean

import torch
import torch.nn.functional as F

from course_utils import metrics, plots, scoreboard, seeds, training
from course_utils.attention.dense import DenseAttention
from course_utils.attention.key_value import KeyValueAttention
from course_utils.attention.scores import (
    AdditiveScore,
    ConcatScore,
    CosineScore,
    DotScore,
    GeneralScore,
    LocationScore,
    NormedScore,
    ScaledDotScore,
)
from course_utils.attention.socket import masked_softmax
from course_utils.attention.steering import SteeredAttention, forced, plugged
from course_utils.attention.table import PLUGS
from course_utils.corpora import mini, parallel
from course_utils.exercises import ex08
from course_utils.experiments.nb08 import new_model, recipes
from course_utils.plots import architectures
from course_utils.plots.scores import Compared, compared
from course_utils.seq2seq.attentive import AttentiveSeq2Seq
from course_utils.teaching.claims import claim
from course_utils.teaching.predict import predict
from course_utils.teaching.source import show_source
from course_utils.text.batches import Batches, make_batch
from course_utils.text.vocabulary import BEGIN, Vocabulary, detokenise
from course_utils.widgets.scores import score_explorer
""", fold=True)

exec(compile((ROOT / "draft08/core.py").read_text(), "core", "exec"))
exec(compile((ROOT / "draft08/table08.py").read_text(), "table08", "exec"))
exec(compile((ROOT / "draft08/home.py").read_text(), "home", "exec"))

notebook = new_notebook(cells=cells)
notebook.metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}, "language_info": {"name": "python"}}
nbformat.write(notebook, ROOT / "notebooks/08_attention_scores.ipynb")
