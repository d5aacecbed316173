"""Every architecture of the course, drawn with the primitives of `drawing`: data -> Figure.

In all of them B is the batch, S and T the source's and the target's length, D (in an RNN H) the width; α is a score,
a a weight, C (or o) a context. `stage=1 … n` draws as far as that step, what is new strong and what was there pale;
without a stage all is there. Notebooks 06 and 07: one vector, attention. 13: self-attention, masks. 02: unrolled. 16: a block.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from course_utils.plots.drawing import CELL, ROLES, Drawing, Node, Port, check_stage, fitted, number, sub, text_size
from course_utils.plots.style import GREY, LARGE, NORMAL, ORANGE, SMALL, ink, styled

ASKS = ink(ORANGE)  # the colour of a query's way
GIVES = ROLES["attention"]  # and of a context's
BEGIN = "<begin>"

# --- encoder and decoder ----------------------------------------------------------------------------------------------


@styled
def one_vector(source: Sequence[str], target: Sequence[str], *, every_step: bool = True, stage: int | None = None) -> Figure:
    """Encoder and decoder with one vector C between them. Stages: 1 the encoder reads, 2 C, 3 the decoder writes.

    `target` with its end; `every_step=False`: C enters only at the start (Sutskever 2014), otherwise at every step
    (Cho 2014). The decoder's first word comes from the begin token, every other from the word before.
    """
    check_stage(stage, ("the encoder reads", "C", "the decoder writes"))
    _check_words(source, target)
    d = Drawing(8.0, 4.55, stage)
    y_word, y_h, y_c, y_bus, y_s, y_out = 0.22, 0.85, 1.85, 2.4, 3.15, 4.15
    left, right = 1.25, 7.9

    pitch = min(1.15, (right - left) / max(len(source), len(target) + 1))
    xs = left + pitch * (np.arange(len(source)) + 1.5) if len(source) <= len(target) else left + pitch * (np.arange(len(source)) + 0.5)
    d.part(1)
    d.text(0.1, y_h, "encoder\n(B, S, H)", ha="left")
    states = _chain(d, xs, y_h, "h", "encoder")
    for x, word, state in zip(xs, source, states, strict=True):
        d.arrow(d.text(x, y_word, fitted(word, pitch - 0.1)).top, state.bottom)

    d.part(2)
    c = d.box(left + pitch * 1.5 + (len(target) - 1) * pitch / 2, y_c, 1.5, 0.42, "C", role="attention", size=NORMAL)
    d.text(0.1, y_c, "one vector\n(B, H)", ha="left")
    d.arrow(states[-1].top, c.right, via=[(states[-1].x, y_c)])

    d.part(3)
    d.text(0.1, y_s, "decoder\n(B, T, H)", ha="left")
    d.text(0.1, y_out + 0.0, "words\n(B, T)", ha="left")
    xt = left + pitch * (np.arange(len(target)) + 1.5)
    states = _chain(d, xt, y_s, "s", "decoder")
    before = d.box(xt[0] - pitch, y_out, min(0.92, pitch - 0.08), 0.36, fitted(BEGIN, pitch - 0.12))
    for k, (x, word, state) in enumerate(zip(xt, target, states, strict=True)):
        said = d.box(x, y_out, min(0.92, pitch - 0.08), 0.36, fitted(word, min(0.92, pitch - 0.08) - 0.04), role="output")
        d.arrow(state.top, said.bottom)
        d.arrow(before.at(0.75, 0), state.at(0.12, 1), dashed=True, curved=True, colour=GREY)
        if every_step or k == 0:
            _through(d, c.top, y_bus, state.bottom)
        before = said
    return d.figure


STEP = ("the encoder's states", "the query", "scores", "weights", "context", "the next word")
KINDS = ("luong", "bahdanau", "both")


@styled
def attention_decoder(
    source: Sequence[str], target: Sequence[str], weights=None, scores=None, *, step: int = 2, stage: int | None = None,
    kind: str = "luong",
) -> Figure:  # fmt: skip
    """One step of a decoder with attention: encoder states in both directions, query, scores, weights, context, and
    where the context goes. Stages: see STEP.

    `weights` (S,) of this step or (T, S) of all, `scores` likewise; where they are None, symbols stand for the numbers. `step` counts from 1.
    `kind`: "luong" (the current state asks, [s; C] speaks), "bahdanau" (the previous state asks, C enters the cell; drawn as
    in the paper's main text, y from s; its appendix, like the course's code, takes s_{i-1}, y_{i-1} and C), or "both" side by side.
    """
    check_stage(stage, STEP)
    _check_words(source, target)
    if kind not in KINDS:
        raise ValueError(f"kind={kind!r}: there are {', '.join(KINDS)}.")
    if not 1 <= step <= len(target):
        raise ValueError(f"step={step}: there are {len(target)} target words, steps 1 to {len(target)}.")
    said = [_row(values, step, len(source), name) for values, name in ((scores, "scores"), (weights, "weights"))]
    if kind == "both":
        d = Drawing(8.0, 6.1, stage)
        for x, one in ((0.1, "bahdanau"), (4.15, "luong")):
            _look_back(d, x, x + 3.3, source, target, *said, step, one, notes=False)
    else:
        d = Drawing(8.0, 5.9, stage)
        _look_back(d, 0.1, 5.8, source, target, *said, step, kind, notes=True)
    return d.figure


def _look_back(d, left, right, source, target, scores, weights, step, kind, *, notes) -> None:
    """One decoder with attention between `left` and `right`."""
    luong = kind == "luong"
    y_word, y_to, y_fro, y_score, y_weight, y_times, y_c, y_s, y_mix, y_out = (
        0.2, 0.68, 1.1, 1.85, 2.45, 2.92, 3.62, 4.3, 4.98, 5.6)  # fmt: skip
    if not luong and notes:
        y_out = 5.2
    pitch = min(1.1, (right - left - 0.35) / len(source))
    xs = left + 0.35 + (right - left - 0.35 - pitch * len(source)) / 2 + pitch * (np.arange(len(source)) + 0.42)
    i, before = sub(step), sub(step - 1)

    d.part(1)
    columns = []
    wide = min(0.62, pitch - 0.3)
    to = _chain(d, xs, y_to, r"$\overrightarrow{h}", "encoder", wide=wide, tall=0.32, mathtext=True)
    fro = _chain(d, xs, y_fro, r"$\overleftarrow{h}", "encoder", wide=wide, tall=0.32, mathtext=True, backwards=True)
    for x, word, a, b in zip(xs, source, to, fro, strict=True):
        columns.append(d.block([a, b], pad=0.06, role="encoder"))
        d.arrow(d.text(x, y_word, fitted(word, pitch - 0.08)).top, columns[-1].bottom)
    x_old, x_now, x_c = left + 0.19 * (right - left), left + 0.5 * (right - left), left + 0.84 * (right - left)
    old = d.state(x_old, y_s, f"s{before}", role="decoder")
    d.arrow((left - 0.02, y_s), old.left)
    last = target[step - 2] if step > 1 else BEGIN
    room = min(1.2, x_now - x_old - 0.12)
    heard = d.box(x_old, y_out, room, 0.36, fitted(last, room - 0.08), role="output" if step > 1 else "plain")
    if step > 1:
        d.arrow(old.top, heard.bottom)

    d.part(2 if luong else 6)
    now = d.state(x_now, y_s, f"s{i}", role="decoder")
    d.arrow(old.right, now.left)
    d.arrow(heard.at(0.8, 0), now.at(0.15, 1), dashed=True, curved=True, colour=GREY)
    d.part(2)
    asks, y_turn, y_bus, x_bus = (now if luong else old), y_s - 0.4, (y_fro + y_score) / 2 + 0.02, left + 0.12
    d.arrow(asks.bottom, (xs[-1] - 0.15, y_bus), via=[(asks.x, y_turn), (x_bus, y_turn), (x_bus, y_bus)], colour=ASKS, lw=2.2, head=False)

    cell = (min(0.6, pitch - 0.36), 0.28)
    d.part(3)
    score = d.vector(float(xs.mean()), y_score, _symbols("α", step, scores, len(source)), role="attention", cell=cell, pitch=pitch)
    for column, one in zip(columns, score.cells, strict=True):
        d.arrow((one.x - 0.15, y_bus), one.at(0.5 - 0.15 / one.wide, 0), colour=ASKS, lw=2.2)
        d.arrow(Port(one.x + 0.12, column.top.y, column), one.at(0.5 + 0.12 / one.wide, 0))
    d.part(4)
    weight = d.vector(float(xs.mean()), y_weight, _symbols("a", step, weights, len(source)), role="attention", cell=cell, pitch=pitch)
    softmax = None
    if notes:
        softmax = d.box(right + 0.58, (y_score + y_weight) / 2, 0.86, 0.9, "softmax", role="attention")
        d.arrow(score.right, Port(softmax.left.x, y_score, softmax))
        d.arrow(Port(softmax.left.x, y_weight, softmax), weight.right)
    else:
        for a, b in zip(score.cells, weight.cells, strict=True):
            d.arrow(a.top, b.bottom)
    d.part(5)
    c = d.state(x_c, y_c, f"C{i}", role="attention")
    times = []
    for column, one in zip(columns, weight.cells, strict=True):
        x = one.x + one.wide / 2 + 0.12
        times.append(d.operation(one.x, y_times, "×"))
        d.arrow(one.top, times[-1].bottom)
        d.arrow(column.at(1, 0.8), times[-1].right,
                via=[(x, column.at(1, 0.8).y), (x, y_times)], colour=GREY)
    d.fan(times, c.bottom, weights)
    d.part(6)
    if luong:
        mix = d.box(x_now, y_mix, 1.45 if notes else 1.3, 0.4, f"tanh W[s{i}; C{i}]", role="output")
        d.arrow(now.top, mix.bottom)
        d.arrow(c.top, mix.right, via=[(c.x, y_mix)], colour=GIVES, lw=2.6)
        speaks = mix
    else:
        d.arrow(c.left, now.at(0.75, 0), via=[(now.at(0.75, 0).x, y_c)], colour=GIVES, lw=2.6)
        speaks = now
    word = d.box(x_now, y_out, room, 0.36, fitted(target[step - 1], room - 0.08), role="output")
    d.arrow(speaks.top, word.bottom)
    if notes:
        _notes(d, 6.95, {1: [(y_to + y_fro) / 2, "states hⱼ\n(B, S, 2H)"], 3: [y_score, "scores\n(B, S)"], 4: [y_weight, "weights\n(B, S)"],
                   5: [y_c, f"context C{i}\n(B, 2H)"], 2: [y_s, "states sᵢ\n(B, H)"], 6: [y_out, "word yᵢ\n(B, V)"]})


def _notes(d: Drawing, x: float, notes) -> None:
    for part, (y, said) in notes.items():
        d.part(part)
        d.text(x, y, said, ha="left")


def _chain(d: Drawing, xs, y, letter, role, *, wide=0.62, tall=0.42, mathtext=False, backwards=False) -> list[Node]:
    """States in a row, each tied to the next."""
    names = [f"{letter}_{{{k}}}$" if mathtext else letter + sub(k) for k in range(1, len(xs) + 1)]
    wide = min(wide, (xs[1] - xs[0]) - 0.24) if len(xs) > 1 else wide
    states = [d.box(float(x), y, wide, tall, name, role=role, size=NORMAL) for x, name in zip(xs, names, strict=True)]
    for a, b in zip(states[:-1], states[1:], strict=True):
        d.arrow(b.left, a.right) if backwards else d.arrow(a.right, b.left)
    return states


def _through(d: Drawing, start: Port, y_bus: float, end: Port) -> None:
    """From `start` up to a bus, along it, up into `end`."""
    via = [] if abs(start.x - end.x) < 1e-9 else [(start.x, y_bus), (end.x, y_bus)]
    d.arrow(start, end, via=via, colour=GIVES, lw=2.2)


def _check_words(*rows: Sequence[str], most: int = 6) -> None:
    for words in rows:
        if not 1 <= len(words) <= most or isinstance(words, str):
            raise ValueError(f"{words!r}: needed is a list of 1 to {most} words, so that the drawing can be read.")


def _row(values, step: int, n: int, name: str) -> np.ndarray | None:
    """The values of this step, (S,), from (S,) or (T, S)."""
    if values is None:
        return None
    values = np.asarray(values, dtype=float)
    if values.ndim == 2 and step <= len(values):
        values = values[step - 1]
    if values.shape != (n,):
        raise ValueError(f"{name} of shape {values.shape} at step {step}: needed is ({n},), or one such row per target word.")
    return values


def _symbols(letter: str, i: int, values, n: int) -> list[str]:
    return [letter + sub(f"{i}{j}") for j in range(1, n + 1)] if values is None else [number(v) for v in values]


# --- self-attention ---------------------------------------------------------------------------------------------------

SELF = ("inputs", "scores", "softmax", "weighted sum")
PROJECTED = ("inputs", "queries, keys, values", "scores", "softmax", "weighted sum")


@styled
def self_attention_steps(
    words: Sequence[str], inputs=None, queries=None, keys=None, values=None, *, projections: bool | None = None,
    asks: int = 0, stage: int | None = None,
) -> Figure:  # fmt: skip
    """What one word (`asks`, counted from 0) becomes, step by step, words as rows from top to bottom.

    Without projections (stages: SELF) the inputs themselves are compared and mixed, x_i · x_j; with them (PROJECTED) the query
    meets every key, q_i · k_j / √d, and the values are mixed. `inputs` (T, D), `queries`, `keys`, `values` (T, d), at most three
    numbers each, are written into the cells, and the scores, weights and the sum worked out from them; without them cells are empty.
    """
    given = [m if m is None else np.asarray(m, dtype=float) for m in (inputs, queries, keys, values)]
    projections = any(m is not None for m in given[1:]) if projections is None else projections
    check_stage(stage, PROJECTED if projections else SELF)
    _check_words(words, most=5)
    T = len(words)
    if not 0 <= asks < T:
        raise ValueError(f"asks={asks}: there are {T} words, 0 to {T - 1}.")
    for name, m in zip(("inputs", "queries", "keys", "values"), given, strict=True):
        if m is not None and (m.ndim != 2 or len(m) != T or m.shape[1] > 3):
            raise ValueError(f"{name} of shape {m.shape}: needed is ({T}, at most 3), one row per word.")
    x, q, k, v = given
    if not projections:
        q = k = v = x
    scores = weights = result = None
    if q is not None and k is not None:
        scores = k @ q[asks] / (np.sqrt(k.shape[1]) if projections else 1)
        weights = np.exp(scores - scores.max())
        weights /= weights.sum()
        result = None if v is None else weights @ v

    gap = 0.92 if projections else 0.85
    extra = 0.34 if projections else 0
    tall = 1.75 + T * gap + extra
    d = Drawing(8.0, tall, stage)
    ys = [tall - 0.72 - gap * (j + 0.5) - extra * (j >= asks) for j in range(T)]
    x_in = 1.6 if projections else 1.95
    x_kv, x_bus, x_score, x_weight, x_times, x_sum, x_out = (
        (3.15, 3.85, 4.45, 5.35, 6.0, 6.7, 7.45) if projections else (x_in, 2.95, 3.75, 4.75, 5.5, 6.35, 7.25))
    number_of_parts = iter(range(1, 6))
    i = sub(asks + 1)
    head = tall - 0.3

    part = next(number_of_parts)
    d.part(part)
    d.text(x_in, head, "inputs xⱼ\n(B, T, D)")
    rows = []
    for j, (word, y) in enumerate(zip(words, ys, strict=True)):
        said = d.text(0.1, y, fitted(word, 0.85), ha="left", bold=j == asks)
        rows.append(_numbers(d, x_in, y, x, j, "query" if j == asks and not projections else "plain"))
        d.arrow(said.right, rows[-1].left)
    if projections:
        part = next(number_of_parts)
        d.part(part)
        d.text(x_kv, head, "qᵢ, kⱼ, vⱼ\n(B, T, d)")
        pairs = []
        for j, y in enumerate(ys):
            names = [("key", k, 0.17), ("value", v, -0.17)] + [("query", q, 0.51)] * (j == asks)
            pairs.append([_numbers(d, x_kv, y + up, m, j, role) for role, m, up in names])
            for node in pairs[-1]:
                turn = (rows[j].right.x + node.left.x) / 2
                d.arrow(rows[j].right, node.left, via=[] if abs(node.y - y) < 0.01 else [(turn, y), (turn, node.y)])
    part = next(number_of_parts)
    d.part(part)
    d.text(x_score, head, f"scores α{i}ⱼ\n(B, T, T)")
    score = []
    up = 0.17 if projections else 0
    for j, y in enumerate(ys):
        score.append(d.box(x_score, y + up, 0.6, 0.32, _symbols("α", asks + 1, scores, T)[j], role="attention"))
        key = pairs[j][0] if projections else rows[j]
        d.arrow(key.right, Port(score[-1].left.x, key.y - 0.06 * 0, score[-1]))
    asker = pairs[asks][2] if projections else rows[asks]
    for one in score:
        end = one.at(0, 0.82)
        start = asker.right if projections else asker.top
        turn = [] if projections else [(start.x, ys[asks] + 0.3)]
        d.arrow(start, end, via=[*turn, (x_bus, turn[-1][1] if turn else start.y), (x_bus, end.y)], colour=ASKS, lw=2.0)
    part = next(number_of_parts)
    d.part(part)
    d.text(x_weight, head, f"weights a{i}ⱼ\n(B, T, T)")
    weight = [d.box(x_weight, y + up, 0.6, 0.32, word, role="attention")
              for y, word in zip(ys, _symbols("a", asks + 1, weights, T), strict=True)]
    y_soft = ys[-1] - 0.62
    softmax = d.box((x_score + x_weight) / 2, y_soft, x_weight - x_score + 0.6, 0.32, "softmax", role="attention")
    d.arrow(score[-1].bottom, Port(x_score, softmax.top.y, softmax))
    d.arrow(Port(x_weight, softmax.top.y, softmax), weight[-1].bottom)
    part = next(number_of_parts)
    d.part(part)
    d.text(x_out, head, f"output o{i}\n(B, T, d)" if projections else f"output o{i}\n(B, T, D)")
    times = []
    for j, y in enumerate(ys):
        times.append(d.operation(x_times, y + up, "×"))
        d.arrow(weight[j].right, times[-1].left)
        if projections:
            d.arrow(pairs[j][1].right, times[-1].bottom, via=[(x_times, y - 0.17)], colour=GREY)
        else:
            d.arrow(rows[j].bottom, times[-1].bottom, via=[(rows[j].x, y - 0.32), (x_times, y - 0.32)], colour=GREY)
    total = d.operation(x_sum, ys[asks] + up, "Σ", role="attention")
    d.fan(times, total, weights)
    out = _numbers(d, x_out, ys[asks] + up, None if result is None else result[None], 0, "attention")
    d.arrow(total.right, out.left, colour=GIVES, lw=2.4)
    formulas = [f"α{i}ⱼ = " + (f"q{i} · kⱼ / √d" if projections else f"x{i} · xⱼ"), f"a{i} = softmax(α{i})",
                f"o{i} = Σⱼ a{i}ⱼ {'v' if projections else 'x'}ⱼ"]
    for at, (place, formula) in enumerate(zip((0.1, 2.75, 5.6), formulas, strict=True)):
        d.part(part - 2 + at)
        d.text(place, 0.2, formula, ha="left", size=NORMAL)
    return d.figure


def _numbers(d: Drawing, x: float, y: float, m, j: int, role: str) -> Node:
    """Row j of a matrix as a row of cells: its numbers, or three empty ones with the letter before them."""
    if m is None:
        return d.vector(x, y, 3, role=role, cell=(0.26, 0.28))
    few = m.shape[1] < 3
    return d.vector(x, y, [number(v, 2 if few else 1) for v in m[j]], role=role, cell=(0.55 if few else 0.42, 0.28))
