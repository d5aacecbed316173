"""The widgets of notebook 05: a valley whose features change scale, and a sentence whose neighbours change."""

from collections.abc import Sequence

import ipywidgets as w
import numpy as np
import torch
from torch import Tensor

from course_utils.layers.normalisation import BatchNorm, LayerNorm
from course_utils.plots.normalisation import beside_neighbours
from course_utils.plots.surface import Surface, surface_with_paths
from course_utils.text.vocabulary import detokenise
from course_utils.widgets.explorer import Explorer

RATES = (0.003, 0.01, 0.03, 0.05, 0.1, 0.14, 0.15, 0.3, 0.5, 1.0, 1.3, 1.4, 1.6, 2.0, 5.0, 10.0)
SCALES = {"× 1": 1.0, "÷ 2": 0.5, "÷ 4": 0.25, "÷ 8": 0.125, "÷ 12 (dozens)": 1 / 12, "÷ 24": 1 / 24}
STEPS = 60


def quadratic(features: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Hessian (2, 2) and minimum (2,) of the loss ½ mean (x·w - y)², x (N, 2) and y (N,) centred."""
    hessian = features.T @ features / len(features)
    return hessian, np.linalg.solve(hessian, features.T @ target / len(features))


def descend(hessian: np.ndarray, minimum: np.ndarray, lr: float, steps: int = STEPS) -> np.ndarray:
    """Gradient descent from w = 0 on that loss: all points, the start first, (steps + 1, 2)."""
    w = np.zeros(2)
    path = [w]
    for _ in range(steps):
        w = w - lr * hessian @ (w - minimum)
        path.append(w)
    return np.array(path)


def valley_explorer(features: np.ndarray, target: np.ndarray, names: tuple[str, str]) -> Explorer:
    """Gradient descent on two weights: `features` (N, 2) and `target` (N,), both centred here. The student changes the
    unit of the first feature, the rate, and whether each feature is divided by its deviation."""
    features, target = features - features.mean(0), target - target.mean()

    def draw(scale: str, lr: float, normalise: bool):
        x = features * np.array([SCALES[scale], 1.0])
        x = x / x.std(0) if normalise else x
        hessian, minimum = quadratic(x, target)
        low, high = np.linalg.eigvalsh(hessian)
        path = descend(hessian, minimum, lr)

        def above(w1, w2):
            a, b = w1 - minimum[0], w2 - minimum[1]
            return 0.5 * (hessian[0, 0] * a * a + 2 * hessian[0, 1] * a * b + hessian[1, 1] * b * b)

        reach = 1.6 * np.abs(minimum).max()
        surface = Surface(
            above, (minimum[0] - reach, minimum[0] + reach), (minimum[1] - reach, minimum[1] + reach),
            {"gradient descent": path}, tuple(minimum), f"weight of “{names[0]}”", f"weight of “{names[1]}”",
        )  # fmt: skip
        left = np.linalg.norm(path[-1] - minimum) / np.linalg.norm(minimum)
        said = f"Condition number {high / low:.1f}, largest stable rate {2 / high:.3g}. At rate {lr:g} "
        said += f"{left:.1%} of the way is left after {STEPS} steps." if left <= 1 else "it flies off."
        title = "each feature divided by its deviation" if normalise else "features as they are"
        return surface_with_paths(surface, title=title, equal=True), said

    return Explorer(
        draw, alt="Contours of the loss over two weights, with the path of gradient descent from 0 to the minimum.",
        scale=w.SelectionSlider(options=list(SCALES), value="× 1", description=f"“{names[0]}”"),
        lr=w.SelectionSlider(options=RATES, value=0.14, description="learning rate"),
        normalise=w.Checkbox(False, description="normalise the features"),
    )  # fmt: skip


def three_norms(x: Tensor, mask: Tensor) -> dict[str, Tensor]:
    """(B, T, D), (B, T) -> the first sentence's real tokens under batch norm in training, the same with a mask, and
    layer norm, each (n, D); γ = 1, β = 0."""
    D, n = x.shape[-1], int(mask[0].sum())
    batch, layer = BatchNorm(D).to(x.dtype), LayerNorm(D).to(x.dtype)
    with torch.no_grad():
        return {
            "batch norm": batch(x)[0, :n], "batch norm,\npads masked": batch(x, mask)[0, :n],
            "layer norm": layer(x)[0, :n],
        }  # fmt: skip


def neighbour_explorer(sentences: Sequence[Sequence[str]], vectors: dict[str, Tensor]) -> Explorer:
    """Your sentence is the first one; choose who stands beside it in the batch, how loud that neighbour is, and how
    many pads follow. `vectors`: word -> (D,). The bars show one feature of your sentence after each normalisation."""
    D = len(next(iter(vectors.values())))
    mine = sentences[0]
    labels = {detokenise(s): s for s in sentences[1:]}

    def outputs(other: Sequence[str], loud: float, pads: int) -> dict[str, Tensor]:
        T = max(len(mine), len(other)) + pads
        x, mask = torch.zeros(2, T, D, dtype=torch.float64), torch.zeros(2, T, dtype=torch.bool)
        for b, (sentence, factor) in enumerate(((mine, 1.0), (other, loud))):
            x[b, : len(sentence)] = torch.stack([vectors[word].double() * factor for word in sentence])
            mask[b, : len(sentence)] = True
        return three_norms(x, mask)

    first = outputs(sentences[1], 1.0, 0)

    def draw(neighbour: str, loud: float, pads: int, feature: int):
        now = outputs(labels[neighbour], loud, pads)
        change = {name: float((now[name] - first[name]).abs().max()) for name in now}
        said = "; ".join(f"{' '.join(name.split())}: {f'{c:.2f}' if c else '0'}" for name, c in change.items())
        rows = {name: (first[name][:, feature - 1], now[name][:, feature - 1]) for name in now}
        figure = beside_neighbours(mine, rows, title=f"your sentence, feature {feature} of {D}")
        return figure, f"Largest change in any feature of your sentence: {said}."

    return Explorer(
        draw, alt="Bars for one feature of the words of a sentence after three normalisations, as first and now.",
        neighbour=w.Dropdown(options=list(labels), description="neighbour"),
        loud=w.FloatSlider(1.0, min=0.5, max=4.0, step=0.25, description="its vectors ×"),
        pads=w.IntSlider(0, 0, 12, description="pads added"),
        feature=w.IntSlider(1, 1, D, description="feature shown"),
    )  # fmt: skip
