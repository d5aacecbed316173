"""The widgets of notebook 17: gradients by block against depth, and byte-pair encoding merge by merge."""

from collections.abc import Mapping, Sequence

import ipywidgets as w

from course_utils.plots.training import gradient_by_block, merge_frame
from course_utils.text.subwords import BytePairEncoding, Merge
from course_utils.widgets.controls import Stepper
from course_utils.widgets.explorer import Explorer

Gradients = Mapping[str, Mapping[int, Mapping[str, Sequence[float]]]]  # norm -> depth -> stack -> (L,)


def depth_explorer(found: Gradients) -> Explorer:
    """A slider for the depth, a choice of stack: pre- and post-norm side by side. `found` was measured before, so that
    the slider only draws."""
    depths = sorted(set.intersection(*(set(by_depth) for by_depth in found.values())))
    stacks = list(next(iter(found.values()))[depths[0]])

    def draw(depth: int, stack: str):
        lines = {f"{norm}-norm": [float(x) for x in by_depth[depth][stack]] for norm, by_depth in found.items()}
        said = "; ".join(f"{name}: the first block gets {x[0] / x[-1]:.2g} times what the last one gets"
                         for name, x in lines.items())  # fmt: skip
        return gradient_by_block(lines, title=f"{stack}, {depth} blocks, untrained"), f"{said}."

    return Explorer(
        draw, alt="The norm of the gradient in each block of an untrained Transformer, for pre-norm and post-norm.",
        depth=w.SelectionSlider(options=depths, value=6 if 6 in depths else depths[-1], description="blocks"),
        stack=w.ToggleButtons(options=stacks, value=stacks[-1], description="stack"),
    )  # fmt: skip


def merge_film(counts: Mapping[str, int], n_merges: int) -> list[tuple[dict[tuple[str, ...], int], Merge | None]]:
    """What the words look like after 0, 1, … merges, and the merge that led there."""
    code = BytePairEncoding.learn(counts, n_merges)
    film = []
    for n in range(len(code.merges) + 1):
        learnt = BytePairEncoding(code.merges[:n])
        words = {_with_end(learnt.split(word)): often for word, often in counts.items()}
        film.append((words, code.merges[n - 1] if n else None))
    return film


def _with_end(pieces: Sequence[str]) -> tuple[str, ...]:
    *begin, last = pieces
    return (*(piece.removesuffix("@@") for piece in begin), f"{last}</w>")


def pair_counts(words: Mapping[tuple[str, ...], int]) -> list[tuple[str, int]]:
    """Pairs of neighbours as text, the most frequent first, equal counts in reverse alphabetical order (as learnt)."""
    found: dict[tuple[str, str], int] = {}
    for pieces, often in words.items():
        for pair in zip(pieces, pieces[1:], strict=False):
            found[pair] = found.get(pair, 0) + often
    order = sorted(found, key=lambda pair: (found[pair], pair), reverse=True)
    return [(" + ".join(pair), found[pair]) for pair in order]


def merge_player(counts: Mapping[str, int], n_merges: int = 12) -> Explorer:
    """Byte-pair encoding as a film: one click, one merge."""
    film = merge_film(counts, n_merges)

    def draw(step: int):
        words, merge = film[step]
        title = f"merge {step}: {' + '.join(merge)}".replace("</w>", "·") if merge else "characters only"
        pieces = sum(len(word) * often for word, often in words.items())
        kinds = len({piece for word in words for piece in word})
        said = f"{kinds} kinds of pieces, {pieces} pieces in the text."
        return merge_frame(words, "".join(merge or ()), pair_counts(words), title=title), said

    return Explorer(
        draw, alt="Words cut into pieces, the piece that was just joined in colour, and the most frequent pairs.",
        step=Stepper(len(film), "merge"),
    )  # fmt: skip
