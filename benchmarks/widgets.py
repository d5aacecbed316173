"""Milliseconds from a moved control to a new picture, in the kernel: python -m benchmarks.widgets

The bound is 100 ms on two cores for the small pictures (design, Widgets). The browser adds 30 to 40 ms (shared/tooling:
key press to changed pixels 65 ms where the kernel takes 27). CPU time of this process is printed beside the wall clock,
which other work on the machine lengthens. Untrained models: the time does not depend on their weights.
"""

import statistics
import time
from collections.abc import Callable

import ipywidgets as w
import numpy as np
import torch

import course_utils  # noqa: F401  one torch thread
from course_utils import plots
from course_utils.corpora.pair import Pair
from course_utils.seq2seq.attentive import AttentiveSeq2Seq
from course_utils.seq2seq.fixed_context import FixedContextSeq2Seq
from course_utils.text.vocabulary import Vocabulary
from course_utils.widgets import Explorer
from course_utils.widgets import seq2seq as players

BOUND = 100  # ms, for the rows marked *


def moves(act: Callable[[int], None], n: int = 15) -> tuple[float, float]:
    """(median wall ms, median CPU ms) of act(0), act(1), ... after three to warm up."""
    wall, cpu = [], []
    for k in range(n + 3):
        start, start_cpu = time.perf_counter(), time.process_time()
        act(k)
        wall.append(time.perf_counter() - start)
        cpu.append(time.process_time() - start_cpu)
    return 1000 * statistics.median(wall[3:]), 1000 * statistics.median(cpu[3:])


def heat_map(size: int) -> Callable[[int], None]:
    rng = np.random.default_rng(0)
    maps = [m / m.sum(-1, keepdims=True) for m in rng.random((4, size, size)) ** 6]
    words = tuple(f"word{k}" for k in range(size))
    explorer = Explorer(
        lambda head: plots.alignment_map(words, words, maps[head]), alt="A map of attention weights.",
        head=w.IntSlider(0, 0, 3),
    )  # fmt: skip
    return lambda k: explorer.controls["head"].set_trait("value", (k + 1) % 4)


def player(words: int, kind: str) -> Callable[[int], None]:
    pair = Pair(tuple(f"w{k}" for k in range(words)), tuple(f"v{k}" for k in range(words)))
    source, target = Vocabulary.build([pair.source]), Vocabulary.build([pair.target])
    torch.manual_seed(0)
    size = dict(source_size=len(source), target_size=len(target), d_embedding=64, d_hidden=128)
    if kind == "fixed":
        made = players.fixed_context_player(FixedContextSeq2Seq(**size), source, target, [pair], "Fixed context")
        return lambda k: made.controls["at"].set_trait("value", words + k)
    model = AttentiveSeq2Seq(**size)
    if kind == "steering":
        made = players.steering_widget(model, source, target, [pair], "Attentive decoder")
        return lambda k: made.controls["amount"].set_trait("value", 0.05 * (k % 20))
    made = players.attention_player(model, source, target, [pair], "Attentive decoder")
    return lambda k: made.controls["at"].next.click()


def main() -> None:
    cases = {
        "* heat map 8 x 8, with its values": heat_map(8), "* heat map 32 x 32": heat_map(32),
        "* attention player, 9 words": player(9, "attention"), "  attention player, 30 words": player(30, "attention"),
        "* fixed-context player, 9 words": player(9, "fixed"), "  fixed-context player, 30 words": player(30, "fixed"),
        "  steering, 9 words (translates anew)": player(9, "steering"),
    }  # fmt: skip
    print(f"{'ms a redraw (median of 15)':40} wall    CPU")
    for name, act in cases.items():
        wall, cpu = moves(act)
        over = "  over the bound" if name.startswith("*") and cpu > BOUND else ""
        print(f"{name:40} {wall:4.0f}   {cpu:4.0f}{over}")


if __name__ == "__main__":
    main()
