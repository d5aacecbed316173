"""The widget of notebook 23: how long a memory Transformer-XL has, and what the characters of a text cost it then."""

import math
from collections.abc import Sequence

import ipywidgets as w
from matplotlib.figure import Figure
from torch import Tensor

from course_utils.experiments.nb23.reading import reach, remembering, segment_losses
from course_utils.models.transformer_xl import TransformerXL
from course_utils.plots.long_memory import Read, memory_view
from course_utils.text.vocabulary import Vocabulary
from course_utils.widgets.explorer import Explorer

MEMORIES = (0, 8, 16, 32, 64, 128, 256)


def memory_explorer(
    model: TransformerXL, words: Vocabulary, ids: Tensor, *, segment: int = 32, rows: int = 6, start: int = 0,
    lanes: int = 8, memories: Sequence[int] = MEMORIES, memory: int = 0,
) -> Explorer:  # fmt: skip
    """Reads `ids` once with each length of memory (that takes a moment), shows `rows` segments of its first lane from
    segment `start` on, and the perplexity of all of it. Choose the memory, and the character whose reach is drawn."""
    losses = {}
    for m in memories:
        with remembering(model, m):
            losses[m] = segment_losses(model, ids, segment, lanes=lanes)  # (lanes, n)
    first, n = start * segment, rows * segment
    if losses[memories[0]].shape[1] < first + n:
        raise ValueError(f"{len(ids)} characters in {lanes} lanes are too few to show {rows} segments from {start} on.")
    text = [words.words[i] for i in ids[first + 1 : first + n + 1].tolist()]
    text = "".join(letter if len(letter) == 1 else "?" for letter in text)
    perplexities = [math.exp(losses[m].mean().item()) for m in memories]
    layers = len(model.blocks)

    def draw(memory: int, character: int) -> tuple[Figure, str]:
        chosen = character - 1
        seen = chosen % segment + memory + 1
        far = reach(layers, memory, segment, chosen % segment) + 1
        row = losses[memory][0, first : first + n].tolist()
        read = Read(text, row, segment, chosen, seen, far, memories, perplexities, memory)
        here = perplexities[list(memories).index(memory)]
        said = (
            f"memory {memory}: perplexity {here:.2f}; character {character} costs {row[chosen]:.2f} nats; one layer "
            f"sees the {seen} before it, {layers} layers reach {far}."
        )
        return memory_view(read), said

    alt = (
        "A passage of a play, one segment a row, every character coloured by what it costs the model; below it the "
        "perplexity against the length of the memory, the present one marked."
    )
    return Explorer(
        draw, alt=alt,
        memory=w.SelectionSlider(options=list(memories), value=memory, description="memory (characters)"),
        character=w.IntSlider((rows - 1) * segment + 2, 1, n, description="chosen character"),
    )  # fmt: skip
