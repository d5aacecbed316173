"""The widgets of notebook 04: the spectral radius, the cliff, and a model that speaks. What is computed and drawn
stands in `layers.gradient_flow`, `models.sampling` and `plots.gradients`."""

from collections.abc import Sequence
from functools import lru_cache

import ipywidgets as w
import numpy as np
import torch

from course_utils.experiments.nb04.gradient_flow import scaled_to_radius, tanh_gradients
from course_utils.models.language_model import CharLanguageModel
from course_utils.models.sampling import next_logits, sample, temperature_probabilities
from course_utils.plots.gradients import cliff, gradient_by_distance, next_symbols, power_loss, power_path
from course_utils.text.vocabulary import Vocabulary
from course_utils.widgets.explorer import Explorer


def radius_explorer(radius: float = 0.9, units: int = 32, steps: int = 50, seeds: int = 5) -> Explorer:
    """The spectral radius of a recurrent matrix: how the gradient shrinks or grows with the distance, with tanh and
    without, for random matrices and inputs of a size that can be chosen."""
    drawn = []
    for seed in range(seeds):
        rng = torch.Generator().manual_seed(seed)
        drawn.append(
            [torch.randn(*shape, generator=rng, dtype=torch.float64) for shape in ((units, units), (steps + 1, units))]
        )
    direction = torch.ones(units, dtype=torch.float64) / units**0.5

    @lru_cache(maxsize=256)
    def norms(radius: float, size: float, linear: bool):
        found = [tanh_gradients(scaled_to_radius(W, radius), size * x, direction, linear) for W, x in drawn]
        return torch.stack(found).numpy()

    def draw(radius: float, size: float):
        lines = {"tanh": norms(radius, size, False), "linear": norms(radius, size, True)}
        with np.errstate(divide="ignore"):
            ends = {name: float(np.median(np.log10(runs[:, -1]))) for name, runs in lines.items()}  # as the line's end
        figure = gradient_by_distance(
            lines, limits=(-12, 12), title=f"spectral radius {radius:.2f}, inputs of size {size:.1f}"
        )
        said = ", ".join(f"{name} 10^{power:.1f}" for name, power in ends.items())
        return figure, f"{steps} steps back the gradient is, in the middle of {seeds} seeds: {said}."

    return Explorer(
        draw, alt="Gradient norm by distance, as powers of ten, for a tanh network and a linear one with the same "
        "random matrix.",
        radius=w.FloatSlider(radius, min=0.3, max=2.0, step=0.05, description="spectral radius"),
        size=w.FloatSlider(0.1, min=0.0, max=3.0, step=0.1, description="size of the inputs"),
    )  # fmt: skip


def cliff_explorer(n: int = 20, start_w: float = 1.15, start_u: float = 1.0, rate: float = 0.1) -> Explorer:
    """Gradient descent on (u wⁿ - 1)² from a place of one's choice, with clipping to norm 1 or without."""

    def draw(n: int, start_w: float, start_u: float, rate: float, steps: int, clip: bool):
        places, norm = power_path(start_w, start_u, n=n, rate=rate, clip=1.0 if clip else None, steps=steps)
        before, (w1, u1) = power_loss(start_w, start_u, n), places[-1]
        after = power_loss(w1, u1, n)
        how = "clipped to norm 1" if clip else "not clipped"
        said = (
            f"Gradient norm at the start {norm:.3g}, {how}. After {len(places) - 1} "
            f"step{'s' * (len(places) > 2)}: w = {w1:.3g}, u = {u1:.3g}, loss {before:.3g} → {after:.3g}."
        )
        return cliff(places, n, title=f"n = {n}, {how}"), said

    return Explorer(
        draw, alt="The error surface of u times w to the n as a map: a dark valley between a flat plain and a steep "
        "cliff, with the steps of gradient descent as arrows; beside it a cut along w.",
        n=w.IntSlider(n, 1, 50, description="n, steps in time"),
        start_w=w.FloatSlider(start_w, min=0.05, max=1.55, step=0.05, description="start: w"),
        start_u=w.FloatSlider(start_u, min=0.1, max=1.9, step=0.1, description="start: u"),
        rate=w.SelectionSlider(options=[0.001, 0.01, 0.03, 0.1, 0.3, 1.0], value=rate, description="learning rate"),
        steps=w.IntSlider(1, 1, 30, description="updates"),
        clip=w.Checkbox(False, description="clip the gradient to norm 1"),
    )  # fmt: skip


def speaker(
    model: CharLanguageModel, vocabulary: Vocabulary, prompts: Sequence[str], *, temperature: float = 0.7, n: int = 280
) -> Explorer:  # fmt: skip
    """A language model over characters that goes on from a prompt, at a temperature and from a seed of one's choice.

    In double precision (model.double()) the same text is drawn on every machine.
    """

    @lru_cache(maxsize=32)
    def after(prompt: str):
        ids = vocabulary.encode(list(prompt))
        return ids, next_logits(model, ids)[0]

    @lru_cache(maxsize=256)
    def speak(prompt: str, temperature: float, seed: int) -> str:
        drawn = sample(model, after(prompt)[0], n, temperature, torch.Generator().manual_seed(seed))
        return "".join(vocabulary.words[i] for i in drawn)

    def draw(prompt: str, temperature: float, seed: int):
        prompt = prompt[:60] or "\n"
        p = temperature_probabilities(after(prompt)[1].double(), temperature)
        symbols = {vocabulary.words[i]: float(p[i]) for i in p.topk(12).indices.tolist()}
        said = speak(prompt, temperature, seed)
        bits = float(-(p[p > 0] * p[p > 0].log2()).sum())
        figure = next_symbols(symbols, prompt, said, title=f"next, at {temperature:.2f}")
        return figure, f"The next symbol is uncertain by {bits:.2f} bits at temperature {temperature:.2f}."

    return Explorer(
        draw, alt="Left the probabilities of the next character after the prompt, right the prompt and the text that "
        "the model draws after it.",
        prompt=w.Combobox(value=prompts[0], options=tuple(prompts), description="prompt", continuous_update=False),
        temperature=w.FloatSlider(temperature, min=0.1, max=2.0, step=0.05, description="temperature"),
        seed=w.IntSlider(0, 0, 20, description="seed"),
    )  # fmt: skip
