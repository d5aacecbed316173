"""The widget of notebook 08: one query, a few keys, and what each score makes of them."""

from collections.abc import Callable, Mapping, Sequence

import ipywidgets as w
import torch
from matplotlib.figure import Figure
from torch import Tensor

from course_utils.plots.scores import Compared, compared
from course_utils.widgets.explorer import Explorer

FACTORS = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
LENGTHS = (0.25, 0.5, 1.0, 1.5, 2.0)


def score_explorer(
    words: Sequence[str], query: Tensor, keys: Tensor, scores: Mapping[str, Callable[[Tensor, Tensor], Tensor]], *,
    stretched: int = -1, kind: str | None = None,
) -> Explorer:  # fmt: skip
    """Choose a score, a factor that all scores are multiplied by, and how long key `stretched` is, its direction kept.

    query (2,), keys (S, 2); `scores`: name -> function of (query, keys) that gives (S,). `kind`: the name shown first.
    """
    query, keys = query.double(), keys.double()
    stretched %= len(words)

    def draw(kind: str, factor: float, length: float) -> tuple[Figure, str]:
        changed = keys.clone()
        changed[stretched] *= length
        with torch.no_grad():
            found = factor * scores[kind](query, changed)
        name = kind if factor == 1 else f"{factor:g} × {kind}"
        step = Compared(words, query.numpy(), changed.numpy(), found.numpy(), name)
        best = int(step.weights.argmax())
        return compared(step), (
            f"{name}: the largest weight is {step.weights[best]:.2f}, on “{words[best]}”; equal weights would be "
            f"{1 / len(words):.2f}."
        )

    alt = (
        "Left: a query and the keys of a few words as arrows in the plane. Right: the score of every word, and the "
        "weights that softmax makes of them."
    )
    return Explorer(
        draw, alt=alt,
        kind=w.Dropdown(options=list(scores), value=kind or next(iter(scores)), description="score"),
        factor=w.SelectionSlider(options=FACTORS, value=1.0, description="factor before the softmax"),
        length=w.SelectionSlider(options=LENGTHS, value=1.0, description=f"length of the key of “{words[stretched]}”"),
    )  # fmt: skip
