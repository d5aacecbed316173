"""Every architecture of the course, drawn with the primitives of `drawing`: data -> Figure.

In all of them B is the batch, S and T are the source's and the target's length, H is the width of a recurrent state, D
of a Transformer's vectors, d of one head; α is a score, a a weight, C (or o) a context. `stage=1 … n` draws as far as
that step, what is new strong and what was there before pale; without a stage everything is there.
Notebook 02: `recurrent_unrolled`. 06, 07: `one_vector`, `attention_decoder`. 08: `decoder_orders`. 09: `windows`,
`choices`. 11: `hierarchy`. 13: `self_attention_steps`, `scaled_dot_product`, `masking`. 16: `transformer_block`.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from course_utils.plots.drawing import Drawing, Node, Port, fitted, number, sub, text_size
from course_utils.plots.style import GREEN, GREY, NORMAL, ORANGE, SMALL, ink, styled

BEGIN = "<begin>"
ASKS = {"colour": ink(ORANGE), "lw": 2.2}  # the way of a query
GIVES = {"colour": GREEN, "lw": 2.4}  # and of a context
FEEDS_BACK = {"colour": GREY, "dashed": True}

# --- recurrent networks, encoder and decoder --------------------------------------------------------------------------

UNROLLED = ("the cell and its loop", "the same cell at every step")


@styled
def recurrent_unrolled(
    words: Sequence[str], outputs: Sequence[str] | None = None, *, stage: int | None = None
) -> Figure:
    """A recurrent network with its loop, and beside it the same network unrolled over `words` (at most 5).

    `outputs`: what it says after each word (symbols where None). Stages: see UNROLLED.
    """
    check_stage(stage, UNROLLED)
    check_words(words, most=5)
    outputs = [f"y{sub(t)}" for t in range(1, len(words) + 1)] if outputs is None else list(outputs)
    if len(outputs) != len(words):
        raise ValueError(f"{len(outputs)} outputs for {len(words)} words: needed is one per word.")
    d = Drawing(8.0, 3.6, stage)
    y_in, y_h, y_out = 0.95, 2.05, 3.25
    d.part(1)
    cell = d.state(0.75, y_h, "h", role="encoder")
    d.arrow(d.text(0.75, y_in, "x").top, cell.bottom, "W")
    d.arrow(cell.top, d.box(0.75, y_out, 0.62, 0.36, "y", role="output").bottom, "V")
    start, end = cell.at(1, 0.8), cell.at(1, 0.2)
    d.arrow(start, end, via=[(1.5, start.y), (1.5, end.y)])
    d.text(1.62, y_h, "U")
    d.part(2)
    d.text(2.15, y_h, "=", size=20)
    pitch = min(1.25, 5.2 / len(words))
    xs = 2.85 + pitch * (np.arange(len(words)) + 0.4)
    before = d.text(2.6, y_h, "h₀")
    for t, (x, word, said) in enumerate(zip(xs, words, outputs, strict=True), 1):
        state = d.state(x, y_h, f"h{sub(t)}")
        d.arrow(before.right, state.left, "U", side="above")
        d.arrow(d.text(x, y_in, fitted(word, pitch - 0.1)).top, state.bottom, "W")
        wide = min(0.92, pitch - 0.1)
        d.arrow(state.top, d.box(x, y_out, wide, 0.36, fitted(said, wide - 0.06), role="output").bottom, "V")
        before = state
    d.brace((xs[-1] + 0.45, y_in - 0.2), (xs[0] - 0.45, y_in - 0.2), "the same U, V and W at every step")
    return d.figure


READ_WRITE = ("the encoder reads", "one vector", "the decoder writes")


@styled
def one_vector(
    source: Sequence[str], target: Sequence[str], *, every_step: bool = True, stage: int | None = None
) -> Figure:
    """Encoder and decoder with one vector C between them. Stages: see READ_WRITE.

    `target` with its end. `every_step=False`: C enters only at the start (Sutskever 2014), otherwise at every step
    (Cho 2014). A state hears the word before (dashed), the first one the begin token.
    """
    check_stage(stage, READ_WRITE)
    check_words(source)
    check_words(target)
    d = Drawing(8.0, 4.5, stage)
    y_word, y_h, y_c, y_bus, y_s, y_out = 0.2, 0.85, 1.85, 2.4, 3.1, 4.15
    left, columns = 1.4, max(len(source), len(target) + 1)
    pitch = min(1.15, (7.95 - left) / columns)
    room = min(0.92, pitch - 0.1)
    xs = left + pitch * (np.arange(columns) + 0.5)
    x_h = xs[1 : len(source) + 1] if len(source) < columns else xs

    d.part(1)
    d.text(0.1, y_h, "encoder hⱼ\n(B, S, H)", ha="left")
    states = _chain(d, x_h, y_h, "h", "encoder")
    for word, state in zip(source, states, strict=True):
        d.arrow(d.text(state.x, y_word, fitted(word, pitch - 0.1)).top, state.bottom)
    d.part(2)
    d.text(0.1, y_c, "one vector C\n(B, H)", ha="left")
    c = d.state(states[-1].x, y_c, "C", role="attention")
    d.arrow(states[-1].top, c.bottom)
    d.part(3)
    d.text(0.1, y_s, "decoder sᵢ\n(B, T, H)", ha="left")
    d.text(0.1, y_out, "words yᵢ", ha="left")
    heard = d.box(xs[0], y_out, room, 0.36, fitted(BEGIN, room - 0.04))
    for k, state in enumerate(_chain(d, xs[1 : len(target) + 1], y_s, "s", "decoder")):
        said = d.box(state.x, y_out, room, 0.36, fitted(target[k], room - 0.04), role="output")
        d.arrow(state.top, said.bottom)
        d.arrow(heard.at(0.75, 0), state.at(0.15, 1), curved=True, **FEEDS_BACK)
        if every_step or k == 0:
            via = [] if abs(c.x - state.x) < 0.01 else [(c.x, y_bus), (state.x, y_bus)]
            d.arrow(c.top, state.bottom, via=via, **GIVES)
        heard = said
    return d.figure


STEP = ("the encoder's states", "the query", "scores", "weights", "context", "the next word")
KINDS = {
    "bahdanau": "Bahdanau: sᵢ₋₁ asks,\nCᵢ enters the cell",
    "luong": "Luong: sᵢ asks,\nCᵢ joins the output",
}


@styled
def attention_decoder(
    source: Sequence[str], target: Sequence[str], weights=None, scores=None, *, step: int = 2, kind: str = "luong",
    stage: int | None = None,
) -> Figure:  # fmt: skip
    """One step of a decoder with attention: the encoder's states in both directions, the query, scores, weights,
    context, and where the context goes. Stages: see STEP.

    `weights` and `scores`: (S,) of this step, or (T, S) of all steps; where they are None, symbols stand for the
    numbers. `step` counts from 1, like the i in C_i. `kind`: "luong" (the current state asks, [s; C] speaks),
    "bahdanau" (the previous state asks, C enters the cell; the word is drawn as spoken by s_i, as in the paper's main
    text, while its appendix and `BahdanauSeq2Seq` compute it from s_{i-1}, y_{i-1} and C_i), "both" side by side.
    """
    check_stage(stage, STEP)
    check_words(target)
    if kind not in (*KINDS, "both"):
        raise ValueError(f"kind={kind!r}: there are {', '.join(KINDS)} and both.")
    check_words(source, most=3 if kind == "both" else 6)
    if not 1 <= step <= len(target):
        raise ValueError(f"step={step}: there are {len(target)} target words, so steps 1 to {len(target)}.")
    numbers = [_row(values, step, len(source), name) for values, name in ((scores, "scores"), (weights, "weights"))]
    if kind != "both":
        d = Drawing(8.0, 6.1, stage)
        _look_back(d, 0.1, 5.85, source, target, *numbers, step, kind)
        return d.figure
    d = Drawing(8.0, 6.65, stage)
    for left, (one, title) in zip((0.1, 4.2), KINDS.items(), strict=True):
        d.part(0)
        d.text(left, 6.4, title, ha="left", bold=True)
        _look_back(d, left, left + 3.1, source, target, *numbers, step, one, narrow=True)
    return d.figure


def _look_back(d, left, right, source, target, scores, weights, step, kind, *, narrow=False) -> None:
    """One step of a decoder with attention, its columns between `left` and `right`; softmax stands right of them."""
    luong, S, i = kind == "luong", len(source), sub(step)
    y_word, y_to, y_fro, y_bus, y_score, y_weight, y_times, y_c, y_s, y_mix, y_out = (
        0.16, 0.74, 1.18, 1.62, 1.98, 2.58, 3.08, 4.0, 4.55, 5.2, 5.83)  # fmt: skip
    pitch = min(1.35, (right - left - 0.3) / S)
    xs = (left + right) / 2 + 0.1 + pitch * (np.arange(S) - (S - 1) / 2)
    wide, room = right - left, 0.9 if narrow else 1.2

    d.part(1)
    to = _chain(d, xs, y_to, r"$\overrightarrow{h}", "encoder", wide=min(0.6, pitch - 0.4), tall=0.36)
    fro = _chain(d, xs, y_fro, r"$\overleftarrow{h}", "encoder", wide=min(0.6, pitch - 0.4), tall=0.36, back=True)
    columns = [d.block(pair, pad=0.06, role="encoder") for pair in zip(to, fro, strict=True)]
    for word, column in zip(source, columns, strict=True):
        d.arrow(d.text(column.x, y_word, fitted(word, pitch - 0.08)).top, column.bottom)
    x_old, x_now, x_c = (left + share * wide for share in ((0.23, 0.63, 1.0) if narrow else (0.19, 0.52, 0.86)))
    old = d.state(x_old, y_s, f"s{sub(step - 1)}", role="decoder")
    d.arrow(d.text(left, y_s, "…", ha="left").right, old.left)

    d.part(2 if luong else 6)
    last, role = (target[step - 2], "output") if step > 1 else (BEGIN, "plain")
    heard = d.box(x_old, y_mix, room, 0.36, fitted(last, room - 0.06), role=role)
    now = d.state(x_now, y_s, f"s{i}", role="decoder")
    d.arrow(old.right, now.left)
    turn, entry = heard.right.x + 0.2, now.at(0, 0.85)
    d.arrow(heard.right, entry, via=[(turn, y_mix), (turn, entry.y)], **FEEDS_BACK)
    d.part(2)
    asks, x_bus = (now if luong else old), left + 0.06
    query = d.text(asks.x, y_s - 0.57, "query")
    d.arrow(asks.bottom, query.top, **ASKS)

    cell = (min(0.6, pitch - 0.36), 0.28)
    d.part(3)
    symbols = _symbols("α", step, scores, S)
    score = d.vector(float(xs.mean()), y_score, symbols, role="attention", cell=cell, pitch=pitch)
    all_scores = d.block(score.cells, pad=0.07)
    way = [(x_bus, query.y), (x_bus, y_bus)]
    d.arrow(query.left, (xs[-1] - 0.15, y_bus), via=way, head=False, **ASKS)
    for column, one in zip(columns, score.cells, strict=True):
        d.arrow((one.x - 0.15, y_bus), one.at(0.5 - 0.15 / one.wide, 0), **ASKS)
        d.arrow(Port(one.x + 0.12, column.top.y, column), one.at(0.5 + 0.12 / one.wide, 0))
    d.part(4)
    symbols = _symbols("a", step, weights, S)
    weight = d.vector(float(xs.mean()), y_weight, symbols, role="attention", cell=cell, pitch=pitch)
    all_weights = d.block(weight.cells, pad=0.07)
    x_soft, y_soft = all_scores.right.x + (0.48 if narrow else 0.6), (y_score + y_weight) / 2
    softmax = d.box(x_soft, y_soft, 0.32, 0.94, "softmax", role="attention", upright=True)
    d.arrow(all_scores.right, Port(softmax.left.x, y_score, softmax))
    d.arrow(Port(softmax.left.x, y_weight, softmax), all_weights.right)
    d.part(5)
    c = d.state(x_c, y_c, f"C{i}", role="attention")
    times = []
    for column, one in zip(columns, weight.cells, strict=True):
        x, half_way = one.right.x + 0.13, column.at(1, 0.83)
        times.append(d.operation(one.x, y_times, "×"))
        d.arrow(one.top, times[-1].bottom)
        d.arrow(half_way, times[-1].right, via=[(x, half_way.y), (x, y_times)], colour=GREY)
    d.fan([one.top for one in times], c.bottom, weights)

    d.part(6)
    word = d.box(x_now, y_out, room, 0.36, fitted(target[step - 1], room - 0.06), role="output")
    speaks = now
    if luong:
        both, room = (f"[s{i}; C{i}]", 0.86) if narrow else (f"tanh W[s{i}; C{i}]", 1.5)
        speaks = d.box(x_now, y_mix, room, 0.38, both, role="output")
        d.arrow(now.top, speaks.bottom)
        d.arrow(c.top, speaks.right, via=[(c.x, y_mix)], **GIVES)
    else:
        d.arrow(c.left, now.at(0.75, 0), via=[(now.at(0.75, 0).x, y_c)], **GIVES)
    d.arrow(speaks.top, word.bottom)
    if not narrow:
        width, x_note = "H" if luong else "2H", max(softmax.right.x, c.right.x) + 0.3
        for part, y, said in (
            (1, (y_to + y_fro) / 2, f"states hⱼ\n(B, S, {width})"), (3, y_score, "scores\n(B, S)"),
            (4, y_weight, "weights\n(B, S)"), (5, y_c, f"context\n(B, {width})"), (1, y_s, "decoder\n(B, H)"),
            (6, y_out, "next word\n(B, V)"),
        ):  # fmt: skip
            d.part(part)
            d.text(x_note, y, said, ha="left")


ORDER = ("states and words", "who asks", "where the context goes")
ORDERS = {
    "bahdanau": "Bahdanau: look,\nthen read and move",
    "luong": "Luong: read and move,\nthen look",
    "conditional": "conditional GRU:\nread, look, move",
}


@styled
def decoder_orders(*, stage: int | None = None) -> Figure:
    """One step of three decoders side by side: which state asks (orange) and where the context goes (green).

    Dashed: Luong's input feeding. Stages: see ORDER.
    """
    check_stage(stage, ORDER)
    d = Drawing(8.0, 4.3, stage)
    for left, (kind, title) in zip((0.02, 2.69, 5.36), ORDERS.items(), strict=True):
        d.part(0)
        d.text(left + 0.06, 4.02, title, ha="left", bold=True)
        _one_order(d, left, kind)
    return d.figure


def _one_order(d: Drawing, left: float, kind: str) -> None:
    y_word, y_cell, y_look, y_top, x_look = 0.22, 1.15, 2.35, 3.2, left + 0.75
    d.part(1)
    keys = d.vector(x_look, y_top, 4, role="encoder")
    d.text(keys.left.x, y_top + 0.3, "hⱼ  (B, S, H)", ha="left")
    look = d.box(x_look, y_look, 1.14, 0.4, "attention", role="attention")
    d.arrow(keys.bottom, look.top)
    old = d.box(left + 0.34, y_cell, 0.58, 0.42, "sᵢ₋₁", role="decoder")
    cells = [d.box(left + x, y_cell, 0.5, 0.42, "GRU") for x in ((0.99, 1.69) if kind == "conditional" else (1.33,))]
    new = d.box(left + 2.34, y_cell, 0.46, 0.42, "sᵢ", role="decoder")
    chain = [old, *cells, new]
    for one, other in zip(chain[:-1], chain[1:], strict=True):
        d.arrow(one.right, other.left)
    d.arrow(d.text(cells[0].x, y_word, "yᵢ₋₁").top, cells[0].bottom)
    said = d.box(new.x, y_top, 0.46, 0.36, "yᵢ", role="output")
    d.part(2)
    if kind == "luong":
        way = [(new.at(0.25, 1).x, 1.75), (look.x, 1.75)]
        d.arrow(new.at(0.25, 1), look.bottom, "query", via=way, side="below", **ASKS)
    else:
        asks = old if kind == "bahdanau" else cells[0]
        d.arrow(asks.top, look.at(0.5 + (asks.x - look.x) / look.wide, 0), "query", **ASKS)
    d.part(3)
    if kind == "luong":
        both = d.box(new.x, y_look, 0.46, 0.4, r"$\tilde{h}_i$", role="output")
        d.arrow(new.at(0.7, 1), both.at(0.7, 0))
        d.arrow(look.right, both.left, "Cᵢ", side="above", **GIVES)
        d.arrow(both.top, said.bottom)
        fed = d.text(cells[0].x + 0.62, y_word, r"$\tilde{h}_{i-1}$")
        d.arrow(fed.top, cells[0].at(0.8, 0), via=[(fed.x, 0.62), (cells[0].at(0.8, 0).x, 0.62)], **FEEDS_BACK)
    else:
        d.arrow(look.right, cells[-1].at(0.6, 1), "Cᵢ", via=[(cells[-1].at(0.6, 1).x, y_look)], **GIVES)
        d.arrow(new.top, said.bottom)


# --- where to look: a window, or one word -----------------------------------------------------------------------------

WINDOWS = ("global", "local-m", "local-p")


@styled
def windows(
    source: Sequence[str], scores: Sequence[float], t: int, centre: float, window: int = 1, *, stage: int | None = None
) -> Figure:  # fmt: skip
    """What one target word sees, side by side: all source words (at most 5), those around its own place t, those around
    a place that its state predicts. The green lines are as thick as the weights; the orange curve is local-p's
    Gaussian. `t` and `centre` count the source words from 0. Stages: see WINDOWS."""
    check_stage(stage, WINDOWS)
    check_words(source, most=5)
    if len(scores) != len(source):
        raise ValueError(f"{len(scores)} scores for {len(source)} words: needed is one per word.")
    if not (0 <= t < len(source) and 0 <= centre <= len(source) - 1 and window >= 1):
        raise ValueError(f"t={t}, centre={centre}, window={window}: places are 0 to {len(source) - 1}, D at least 1.")
    d = Drawing(8.0, 4.6, stage)
    for k, kind in enumerate(WINDOWS):
        d.part(k + 1)
        _one_window(d, 0.08 + 2.66 * k, source, np.asarray(scores, dtype=float), kind, t, centre, window)
    return d.figure


def _one_window(d: Drawing, left: float, source, scores, kind: str, t: int, centre: float, D: int) -> None:
    S, y_ask, y_word, y_h, y_c, y_title = len(source), 0.26, 1.16, 1.83, 3.2, 4.36
    middle = {"global": None, "local-m": float(t), "local-p": centre}[kind]
    away = np.zeros(S) if middle is None else np.arange(S) - middle
    inside = np.abs(away) <= (S if middle is None else D)
    weights = np.where(inside, np.exp(scores - scores[inside].max()), 0.0)
    weights = weights / weights.sum() * (np.exp(-2 * (away / D) ** 2) if kind == "local-p" else 1.0)
    rule = {"global": "softmax over all words\nweights (B, T, S)", "local-m": "softmax where |s − t| ≤ D",
            "local-p": "softmax where |s − p| ≤ D,\nthen × Gaussian"}[kind]  # fmt: skip
    d.text(left, y_title, kind, ha="left", bold=True)
    d.text(left, y_title - (0.38 if "\n" in rule else 0.27), rule, ha="left")

    xs = left + 0.27 + 0.46 * np.arange(S)
    states = [d.box(x, y_h, 0.36, 0.36, f"h{sub(j)}", role="encoder") for j, x in enumerate(xs)]
    words = [d.text(x, y_word, fitted(word, 0.72), upright=True) for x, word in zip(xs, source, strict=True)]
    low = Node(float(xs[0]), y_word - 0.36, 0.1, 0.1)  # frames are equally tall, however long their words
    seen = [j for j in range(S) if inside[j]]
    frame = d.block([states[seen[0]], states[seen[-1]], words[seen[0]], Node(xs[seen[0]], low.y, 0.1, 0.1)], pad=0.05,
                    role="attention")  # fmt: skip
    if kind == "local-p":
        x = np.linspace(max(0, centre - D) - 0.4, min(S - 1, centre + D) + 0.4, 61)
        if d.there:
            d.axes.plot(xs[0] + 0.46 * x, 2.13 + 0.5 * np.exp(-2 * ((x - centre) / D) ** 2), color=d.shade(ORANGE),
                        lw=2.2, zorder=4)  # fmt: skip
    context = d.state(left + 1.19, y_c, f"C{sub(t)}", role="attention")
    d.fan([states[j].top for j in seen], context.bottom, weights[seen])
    d.text(context.x, y_c + 0.36, f"weights sum to {weights.sum():.2f}".replace("1.00", "1"))

    query = d.box(left + 0.3, y_ask, 0.44, 0.36, f"s{sub(t)}", role="query")
    turn = (query.top.y + frame.bottom.y) / 2
    x = max(query.x, frame.left.x + 0.12) if middle is None or middle > 0.5 else frame.left.x + 0.06
    way = [] if x == query.x else [(query.x, turn), (x, turn)]
    d.arrow(query.top, Port(x, frame.bottom.y, frame), via=way, **ASKS)
    if kind == "global":
        return
    said = f"p = t = {t}" if kind == "local-m" else f"p = {number(centre, 1)}"
    place = d.box(left + 1.45, y_ask, 1.0, 0.36, said, role="query" if kind == "local-p" else "plain")
    x = float(xs[0] + 0.46 * middle)
    way = [] if abs(place.x - x) < 0.02 else [(place.x, turn), (x, turn)]
    d.arrow(place.top, Port(x, frame.bottom.y, frame), via=way, **(ASKS if kind == "local-p" else {}))
    if kind == "local-p":
        d.arrow(query.right, place.left, **ASKS)


CHOICES = ("soft", "straight-through", "draw")
BACKWARDS = {
    "soft": "the gradient passes\nthrough every weight",
    "straight-through": "backwards as if the\nchoice were soft",
    "draw": "backwards: (r − b) ∇ log aₛ,\nwith r = log p(y)",
}


@styled
def choices(
    source: Sequence[str], weights: Sequence[float], drawn: int, *, stage: int | None = None
) -> Figure:  # fmt: skip
    """Three ways from weights to a context, side by side: the mixture, the word of the largest weight, and a word that
    is drawn (`drawn`, counted from 0). Dashed: how a gradient comes back to the weights. Stages: see CHOICES."""
    check_stage(stage, CHOICES)
    check_words(source, most=4)
    if len(weights) != len(source) or not 0 <= drawn < len(source):
        raise ValueError(f"{len(source)} words, {len(weights)} weights, drawn={drawn}: one weight per word, one drawn.")
    d = Drawing(8.0, 5.2, stage)
    for k, kind in enumerate(CHOICES):
        d.part(k + 1)
        _one_choice(d, 0.05 + 2.68 * k, source, [float(w) for w in weights], kind, drawn)
    return d.figure


def _one_choice(d: Drawing, left: float, source, weights, kind: str, drawn: int) -> None:
    y_word, y_h, y_a, y_how, y_one, y_c, y_p, y_title = 0.2, 0.72, 1.3, 1.9, 2.5, 3.25, 3.95, 4.98
    cell, S = (0.52, 0.28), len(source)
    name = d.text(left, y_title, kind, ha="left", bold=True)
    if kind == "soft":
        d.text(name.right.x + 0.1, y_title, "weights (B, T, S)", ha="left")
    d.text(left, y_title - 0.38, BACKWARDS[kind], ha="left")
    xs = left + 0.28 + 0.58 * np.arange(S)
    row = d.vector(float(xs.mean()), y_a, weights, role="attention", cell=cell, pitch=0.58)
    for x, word, one, j in zip(xs, source, row.cells, range(S), strict=True):
        state = d.box(float(x), y_h, 0.42, 0.34, f"h{sub(j)}", role="encoder")
        d.arrow(d.text(float(x), y_word, fitted(word, 0.56)).top, state.bottom)
        d.arrow(state.top, one.bottom)
    all_weights = d.block(row.cells, pad=0.05)
    x_back, x_c = max(float(xs[-1]) + 0.42, left + 1.2), max(float(xs.mean()), left + 0.55)
    context = d.state(x_c, y_c, "C", role="attention")
    speaks = d.box(x_c, y_p, 1.0, 0.36, "log p(y)", role="output")
    d.arrow(context.top, speaks.bottom)
    if kind == "soft":
        d.fan([one.top for one in row.cells], context.bottom, weights)
    else:
        taken = int(np.argmax(weights)) if kind == "straight-through" else drawn
        how = d.box(x_c, y_how, 1.0, 0.34, "largest" if kind == "straight-through" else "draw s")
        d.arrow(Port(x_c, all_weights.top.y, all_weights), how.bottom)
        ones = d.vector(x_c, y_one, [str(int(j == taken)) for j in range(S)], role="attention", cell=cell, pitch=0.58)
        d.arrow(how.top, d.block(ones.cells, pad=0.05).bottom)
        d.fan([ones.cells[taken].top], context.bottom, [1.0])
    d.arrow(speaks.right, all_weights.right, via=[(x_back, y_p), (x_back, y_a)], **FEEDS_BACK)


# --- self-attention ---------------------------------------------------------------------------------------------------

SELF = ("inputs", "scores", "softmax", "weighted sum")
PROJECTED = ("inputs", "query, keys, values", "scores", "softmax", "weighted sum")


@styled
def self_attention_steps(
    words: Sequence[str], inputs=None, queries=None, keys=None, values=None, *, projections: bool | None = None,
    scaled: bool = True, asks: int = 0, stage: int | None = None,
) -> Figure:  # fmt: skip
    """What one word (`asks`, counted from 0) becomes, step by step; the words are rows, from top to bottom.

    Without projections (stages: SELF) the inputs themselves are compared, x_i · x_j, and mixed. With them (PROJECTED)
    the query meets every key, q_i · k_j / √d (not `scaled`: q_i · k_j), and the values are mixed. The numbers of
    `inputs` (T, D), `queries`, `keys`, `values` (T, d), at most three wide, are written into the cells, and scores,
    weights and output are worked out from them; without them cells are empty and symbols stand for numbers.
    """
    given = {"inputs": inputs, "queries": queries, "keys": keys, "values": values}
    given = {name: None if m is None else np.asarray(m, dtype=float) for name, m in given.items()}
    check_words(words, most=5)
    T, i = len(words), sub(asks + 1)
    if not 0 <= asks < T:
        raise ValueError(f"asks={asks}: there are {T} words, 0 to {T - 1}.")
    for name, m in given.items():
        if m is not None and (m.ndim != 2 or len(m) != T or not 1 <= m.shape[1] <= 3):
            raise ValueError(f"{name} of shape {m.shape}: needed is ({T}, 1 to 3), one row per word.")
    x, q, k, v = given.values()
    if projections is None:
        projections = q is not None or k is not None or v is not None
    check_stage(stage, PROJECTED if projections else SELF)
    if not projections:
        q = k = v = x
    scores, weights, output = _attend(q, k, v, asks, scaled=projections and scaled)

    gap, above = (0.86, 0.34) if projections else (0.8, 0.0)  # the asking row is taller: its query stands on top
    tall = (1.83 if projections else 1.98) + T * gap + above
    d = Drawing(8.0, tall, stage)
    ys = [tall - 0.86 - gap * (j + 0.5) - above * (j >= asks) for j in range(T)]
    up = 0.17 if projections else 0.0  # the level of a row's key, score and weight
    y_head, first = tall - 0.36, 3 if projections else 2  # the part in which the scores come
    x_in, x_k, x_turn, x_bus, x_score, x_weight, x_times, x_sum, x_out = (
        (1.55, 3.17, 2.23, 3.86, 4.42, 5.4, 6.05, 6.48, 7.39) if projections
        else (1.75, 1.75, 0.0, 2.85, 3.6, 4.75, 5.45, 6.2, 7.2))  # fmt: skip

    d.part(1)
    d.text(x_in, y_head, "inputs\nxⱼ\n(B, T, D)")
    short = [fitted(word, 0.76) for word in words]
    edge = 0.1 + max(text_size(word, SMALL, "bold")[0] for word in short)
    said = [d.text(edge, y, word, ha="right", bold=j == asks)
            for j, (word, y) in enumerate(zip(short, ys, strict=True))]  # fmt: skip
    rows = [_numbers(d, x_in, y, x, j, "query" if j == asks and not projections else "plain")
            for j, y in enumerate(ys)]  # fmt: skip
    for word, row in zip(said, rows, strict=True):
        d.arrow(word.right, row.left)
    meets, gives, asker = rows, rows, rows[asks]
    if projections:
        d.part(2)
        d.text(x_k, y_head, f"query, keys, values\nq{i}, kⱼ, vⱼ\n(B, T, d)")
        drawn = {}
        for j, y in enumerate(ys):
            for role, m, level in (("query", q, y + 0.51), ("key", k, y + 0.17), ("value", v, y - 0.17)):
                if role == "query" and j != asks:
                    continue
                drawn[role, j] = node = _numbers(d, x_k, level, m, j, role)
                name = d.text(node.left.x - 0.05, level, f"{role[0]}{sub(j + 1)}", ha="right")
                d.arrow(rows[j].right, name.left, via=[(x_turn, y), (x_turn, level)])
        meets, gives = ([drawn[role, j] for j in range(T)] for role in ("key", "value"))
        asker = drawn["query", asks]

    d.part(first)
    d.text(x_score, y_head, f"scores\nα{i}ⱼ\n(B, T, T)")
    score = [d.box(x_score, y + up, 0.54, 0.34, symbol, role="attention")
             for y, symbol in zip(ys, _symbols("α", asks + 1, scores, T), strict=True)]  # fmt: skip
    start = asker.right if projections else asker.at(0.5, 1)
    level = start.y if projections else start.y + 0.13
    for one, key in zip(score, meets, strict=True):
        d.arrow(key.right, Port(one.left.x, key.y, one))
        end = one.at(0, 0.85)
        way = [(x_bus, level), (x_bus, end.y)] if abs(level - end.y) > 0.01 else []
        d.arrow(start, end, via=[(start.x, level)] * (not projections) + way, **ASKS)
    d.part(first + 1)
    d.text(x_weight, y_head, f"weights\na{i}ⱼ\n(B, T, T)")
    weight = [d.box(x_weight, y + up, 0.54, 0.34, symbol, role="attention")
              for y, symbol in zip(ys, _symbols("a", asks + 1, weights, T), strict=True)]  # fmt: skip
    frames = []
    for part, cells in ((first, score), (first + 1, weight)):
        d.part(part)
        frames.append(d.block(cells, pad=0.09))
    wide = x_weight - x_score + 0.72
    softmax = d.box((x_score + x_weight) / 2, frames[0].bottom.y - 0.42, wide, 0.32, "softmax", role="attention")
    d.arrow(frames[0].bottom, Port(x_score, softmax.top.y, softmax))
    d.arrow(Port(x_weight, softmax.top.y, softmax), frames[1].bottom)

    d.part(first + 2)
    d.text(x_out, y_head, f"output\no{i}\n(B, T, {'d' if projections else 'D'})")
    times = [d.operation(x_times, one.y, "×") for one in weight]
    for one, value, node, y in zip(weight, gives, times, ys, strict=True):
        d.arrow(one.right, node.left)
        low = y - 0.17 if projections else y - 0.31
        start = value.right if projections else value.bottom
        d.arrow(start, node.bottom, via=[(value.x, low)] * (not projections) + [(x_times, low)], colour=GREY)
    total = d.operation(x_sum, weight[asks].y, "Σ", role="attention")
    d.fan([one.right for one in times], total, weights)
    out = _numbers(d, x_out, total.y, output, 0, "attention")
    d.arrow(total.right, out.left, **GIVES)
    score_of, given_away = (f"q{i} · kⱼ" + " / √d" * scaled, "v") if projections else (f"x{i} · xⱼ", "x")
    formulas = (f"α{i}ⱼ = {score_of}", f"a{i} = softmax(α{i})", f"o{i} = Σⱼ a{i}ⱼ {given_away}ⱼ")
    for k, (place, formula) in enumerate(zip((0.1, 3.2, 6.2), formulas, strict=True)):
        d.part(first + k)
        d.text(place, 0.2, formula, ha="left", size=NORMAL)
    return d.figure


SCALED = ("queries, keys, values", "scores", "scale", "mask", "softmax", "weighted sum")


@styled
def scaled_dot_product(stage: int | None = None) -> Figure:
    """softmax(Q Kᵀ / √d) V as a chain of boxes, with shapes and a reason for each (Vaswani 2017). Stages: SCALED."""
    check_stage(stage, SCALED)
    d = Drawing(8.0, 5.3, stage)
    x_q, x_k, x_v, x_said = 0.75, 2.05, 3.35, 4.3
    x_score, x_sum = (x_q + x_k) / 2, ((x_q + x_k) / 2 + x_v) / 2
    d.part(1)
    q, k, v = (d.box(x, 0.35, 0.9, 0.4, name, role=role, size=NORMAL)
               for x, name, role in ((x_q, "Q", "query"), (x_k, "K", "key"), (x_v, "V", "value")))  # fmt: skip
    d.text(x_said, 0.35, "Q (B, T, d)   K, V (B, S, d)", ha="left")
    d.part(2)
    below = d.box(x_score, 1.15, 1.7, 0.4, "matmul  Q Kᵀ", role="attention")
    for node in (q, k):
        d.arrow(node.top, Port(node.x, below.bottom.y, below))
    d.text(x_said, 1.15, "every query meets every key\n(B, T, S)", ha="left")
    for part, y, name, said in (
        (3, 1.9, "scale  ÷ √d", "so that scores do not grow\nwith the width"),
        (4, 2.65, "mask", "−∞ where looking is forbidden"),
        (5, 3.4, "softmax", "over the keys: every row\nsums to 1   (B, T, S)"),
    ):
        d.part(part)
        box = d.box(x_score, y, 1.7, 0.4, name, role="attention")
        d.arrow(below.top, box.bottom)
        d.text(x_said, y, said, ha="left")
        below = box
    d.part(6)
    mix = d.box(x_sum, 4.2, 1.7, 0.4, "matmul  A V", role="attention")
    d.arrow(below.top, Port(below.x, mix.bottom.y, mix) if below.x > mix.left.x else mix.at(0.2, 0),
            via=[] if below.x > mix.left.x else [(below.x, 3.8), (mix.at(0.2, 0).x, 3.8)])  # fmt: skip
    d.arrow(v.top, mix.at(0.8, 0), via=[(x_v, 3.8), (mix.at(0.8, 0).x, 3.8)])
    d.text(x_said, 4.2, "each query's mixture of values", ha="left")
    d.arrow(mix.top, d.text(x_sum, 4.95, "output (B, T, d)").bottom)
    return d.figure


MASKS = {
    "causal": ("causal mask (T, T),", "one for all sentences:", "word i sees words 1 … i"),
    "padding": ("padding mask (B, S),", "one row per sentence:", "nobody sees a pad", "(pads' own rows are not used)"),
    "both": ("both at once (B, T, S):", "no word ahead and no pad;", "each is ✓ only where", "both masks are ✓"),
}


@styled
def masking(words: int | Sequence[str], kind: str = "causal", *, pads: int = 2) -> Figure:
    """Who may look at whom, as a table: rows ask, columns are looked at. ✓ is True: may look; −∞ is added to the rest.

    `words`: the real words, or how many places there are in all. `kind`: "causal" (nobody looks ahead), "padding"
    (nobody looks at the `pads` places at the end that only fill the batch), "both".
    """
    if kind not in MASKS:
        raise ValueError(f"kind={kind!r}: there are {', '.join(MASKS)}.")
    pads = 0 if kind == "causal" else pads
    if isinstance(words, int):
        words = [f"word {k}" for k in range(1, words - pads + 1)]
    n = len(words) + pads
    if not len(words) or pads < 0:
        raise ValueError(f"pads={pads} and {len(words)} words: needed are at least one real word and no negative pads.")
    check_words([*words, *["<pad>"] * pads], most=8)
    allowed = np.ones((n, n), dtype=bool) if kind == "padding" else np.tri(n, dtype=bool)
    allowed[:, len(words) :] = False
    size, left = min(0.56, 3.85 / n), 1.15
    names = [*[fitted(word, 0.95) for word in words], *["<pad>"] * pads]
    turned = any(text_size(name, SMALL)[0] > size - 0.06 for name in names)
    head = 0.35 + (max(text_size(name, SMALL)[0] for name in names) if turned else 0.2) + 0.15
    tall = max(n * size + head + 0.15, 3.4)
    d = Drawing(8.0, tall)
    top = tall - head
    d.text(left + n * size / 2, tall - 0.17, "is looked at (key)", colour=GREY)
    d.text(0.1, tall - 0.17, "asks (query)", ha="left", colour=GREY)
    for j, name in enumerate(names):
        y = top - size * (j + 0.5)
        d.text(left - 0.12, y, name, ha="right", colour=GREY if j >= len(words) else "black")
        long = text_size(name, SMALL)[0]
        d.text(left + size * (j + 0.5), top + 0.1 + (long if turned else 0.12) / 2, name, upright=turned,
               colour=GREY if j >= len(words) else "black")  # fmt: skip
        for k in range(n):
            role, sign = ("attention", "✓") if allowed[j, k] else ("plain", "−∞")
            d.vector(left + size * (k + 0.5), y, [sign], role=role, cell=(size, size))
    x = left + n * size + 0.3
    y = top - 0.2
    for k, line in enumerate(MASKS[kind]):
        d.text(x, y - 0.25 * k, line, ha="left", bold=k == 0)
    y -= 0.25 * len(MASKS[kind]) + 0.3
    for role, sign, line in (("attention", "✓", "True: may look"), ("plain", "−∞", "score −∞, weight 0")):
        d.vector(x + 0.2, y, [sign], role=role, cell=(0.4, 0.4))
        d.text(x + 0.5, y, line, ha="left")
        y -= 0.5
    return d.figure


# --- the Transformer --------------------------------------------------------------------------------------------------

BLOCKS = {
    "encoder": (("self-attention", "encoder"), ("feed-forward", "plain")),
    "decoder": (("masked self-attention", "decoder"), ("cross-attention", "attention"), ("feed-forward", "plain")),
}
SAID = {
    "self-attention": "every word asks all words",
    "masked self-attention": "every word asks the words\nup to itself",
    "feed-forward": "each word by itself",
}


@styled
def transformer_block(kind: str = "encoder", *, stage: int | None = None) -> Figure:
    """One block of a (pre-norm) Transformer: each sublayer behind a norm, with queries, keys and values where it
    attends, its sum with what came past it, and × N. `kind`: "encoder" (2 sublayers) or "decoder" (3).

    Stages: 1 what comes in, then one per sublayer, last the frame, × N, and what goes out.
    """
    if kind not in BLOCKS:
        raise ValueError(f"kind={kind!r}: there are {', '.join(BLOCKS)}.")
    sublayers = BLOCKS[kind]
    check_stage(stage, ("the input", *(name for name, _ in sublayers), "× N"))
    x, pitch, letter = 2.9, 1.75, {"encoder": "S", "decoder": "T"}[kind]
    d = Drawing(8.0, 1.5 + pitch * len(sublayers), stage)
    d.part(1)
    below = d.text(x, 0.2, f"X  (B, {letter}, D)")
    inside = []
    y = 0.52
    for k, (name, role) in enumerate(sublayers, 2):
        d.part(k)
        norm = d.box(x, y + 0.42, 2.3, 0.3, "norm")
        d.arrow(below.top, norm.bottom)
        box = d.box(x, y + 1.08, 2.3, 0.42, name, role=role)
        attends = name != "feed-forward"
        for share, what in ((0.15, "q"), (0.5, "k"), (0.85, "v")) if attends else ((0.5, ""),):
            if name == "cross-attention" and what != "q":
                continue
            d.arrow(norm.at(share, 1), box.at(share, 0), what)
        if name == "cross-attention":
            memory = d.box(6.3, box.y, 1.7, 0.5, "encoder's output\n(B, S, D)", role="encoder")
            for level, what in ((0.75, "k"), (0.25, "v")):
                port = box.at(1, level)
                d.arrow(Port(memory.left.x, port.y, memory), port, what, side="above" if what == "k" else "below")
        plus = d.operation(x, y + 1.6, "+")
        d.arrow(box.top, plus.bottom)
        past = x - 1.5
        start = (x, norm.bottom.y - 0.2)
        d.arrow(start, plus.left, via=[(past, start[1]), (past, plus.y)])
        if name != "cross-attention":
            d.text(4.55, box.y, SAID[name], ha="left")
        inside += [norm, box, plus, Node(past, start[1], 0, 0)]
        below = plus
        y += pitch
    d.part(len(sublayers) + 2)
    d.block(inside, pad=0.17, times="× N")
    d.arrow(below.top, d.text(x, y + 0.72, f"to the next block  (B, {letter}, D)").bottom)
    return d.figure


# --- words, sentences, document ---------------------------------------------------------------------------------------

HIERARCHY = ("words are read", "words are weighed", "sentences are read", "sentences are weighed", "the class")


@styled
def hierarchy(
    sentences: Sequence[Sequence[str]], of_words=None, of_sentences: Sequence[float] | None = None,
    label: str = "class", *, stage: int | None = None,
) -> Figure:  # fmt: skip
    """A hierarchical attention network on a document of up to 3 sentences of up to 3 words: both levels are built
    alike. Stages: see HIERARCHY.

    `of_words`: a row of weights for each sentence, `of_sentences`: one for each; symbols stand where they are None.
    """
    check_stage(stage, HIERARCHY)
    check_words(sentences, most=3)
    for sentence in sentences:
        check_words(sentence, most=3)
    n = len(sentences)
    if of_sentences is not None and len(of_sentences) != n or of_words is not None and len(of_words) != n:
        raise ValueError(f"{n} sentences need {n} weights, and {n} rows of weights for their words.")
    d = Drawing(8.0, 6.0, stage)
    left, right, x_query, x_note = 1.08, 6.62, 0.5, 6.7
    block, pitch = (right - left) / n, min(0.62, (right - left) / n / 3)
    centres = left + block * (np.arange(n) + 0.5)
    y_word, y_h, y_bus, y_a, y_s, y_hs, y_bus_s, y_as, y_v = 0.16, 0.78, 1.2, 1.6, 2.5, 3.2, 3.64, 4.04, 5.1
    rows, tops = [], []
    d.part(1)
    for x, sentence in zip(centres, sentences, strict=True):
        xs = x + pitch * (np.arange(len(sentence)) - (len(sentence) - 1) / 2)
        row = _both_ways(d, xs, y_h, 0.38)
        for word, state in zip(sentence, row, strict=True):
            d.arrow(d.text(state.x, y_word, fitted(word, pitch - 0.04)).top, state.bottom)
        rows.append(row)
    d.part(2)
    cell = (min(0.5, pitch - 0.06), 0.28)
    for k, row in enumerate(rows):
        values = None if of_words is None else _row(of_words[k], 1, len(row), "of_words")
        weights = [_weight(d, state, y_a, cell, "a", values, j) for j, state in enumerate(row)]
        tops.append(([w.top for w in weights], values))
    _asks(d, x_query, y_bus, rows, [y_a - cell[1] / 2], cell, "words")
    d.part(3)
    found = [d.state(float(x), y_s, f"s{sub(k)}", role="attention") for k, x in enumerate(centres, 1)]
    for vector, (ports, values) in zip(found, tops, strict=True):
        d.fan(ports, vector.bottom, values)
    upper = _both_ways(d, centres, y_hs, 0.62)
    for vector, state in zip(found, upper, strict=True):
        d.arrow(vector.top, state.bottom)
    d.part(4)
    values = None if of_sentences is None else _row(of_sentences, 1, n, "of_sentences")
    weights = [_weight(d, state, y_as, (0.5, 0.28), "a", values, j) for j, state in enumerate(upper)]
    _asks(d, x_query, y_bus_s, [upper], [y_as - 0.14], (0.5, 0.28), "sentences")
    d.part(5)
    document = d.state(float(centres.mean()), y_v, "v", role="attention")
    d.fan([w.top for w in weights], document.bottom, values)
    wide = min(1.9, text_size(label, SMALL)[0] + 0.24)
    d.arrow(document.top, d.box(document.x, 5.72, wide, 0.36, fitted(label, wide - 0.06), role="output").bottom)
    for part, y, said in (
        (1, y_h, "words' states\n(B, S, T, 2H)"), (2, y_a, "weights\n(B, S, T)"), (3, y_s, "sentences\n(B, S, 2H)"),
        (4, y_as, "weights\n(B, S)"), (5, y_v, "document\n(B, 2H)"),
    ):  # fmt: skip
        d.part(part)
        d.text(x_note, y, said, ha="left")
    return d.figure


def _both_ways(d: Drawing, xs, y: float, wide: float) -> list[Node]:
    """The states of a bidirectional network: each is tied to the next one and to the one before."""
    states = [d.box(float(x), y, wide, 0.42, "h", role="encoder", size=NORMAL) for x in xs]
    for a, b in zip(states[:-1], states[1:], strict=True):
        d.arrow(a.at(1, 0.72), b.at(0, 0.72), lw=1.0)
        d.arrow(b.at(0, 0.28), a.at(1, 0.28), lw=1.0)
    return states


def _weight(d: Drawing, state: Node, y: float, cell, letter: str, values, j: int) -> Node:
    """A cell with a weight above the state that it belongs to."""
    said = letter + sub(j + 1) if values is None else number(values[j])
    node = d.vector(state.x, y, [said], role="attention", cell=cell)
    d.arrow(Port(state.x + 0.07, state.top.y, state), Port(state.x + 0.07, node.bottom.y, node), lw=1.2)
    return node


def _asks(d: Drawing, x: float, y: float, rows: Sequence[Sequence[Node]], ends, cell, of: str) -> None:
    """The learnt query of a level asks all of its states."""
    query = d.box(x, y, 0.92, 0.5, f"query\nof {of}" if of == "words" else "query of\nsentences", role="query")
    last = rows[-1][-1].x - 0.07
    d.arrow(query.right, (last, y), head=False, colour=ASKS["colour"], lw=1.6)
    for state in (state for row in rows for state in row):
        target = Node(state.x, ends[0] + cell[1] / 2, *cell)
        d.arrow((state.x - 0.07, y), target.at(0.5 - 0.07 / cell[0], 0), colour=ASKS["colour"], lw=1.6)


# --- shared -----------------------------------------------------------------------------------------------------------


def check_stage(stage: int | None, names: Sequence[str]) -> None:
    """ValueError if a drawing with these stages has none of this number."""
    if stage is not None and stage not in range(1, len(names) + 1):
        listed = ", ".join(f"{k} {name}" for k, name in enumerate(names, 1))
        raise ValueError(f"stage={stage}: the stages are {listed}; None draws the whole.")


def check_words(words: Sequence[str], most: int = 6) -> None:
    """ValueError if there are no words, or more than a drawing can hold."""
    if isinstance(words, str) or not 1 <= len(words) <= most:
        raise ValueError(f"{words!r}: needed is a list of 1 to {most} words, so that the drawing can be read.")


def _chain(d: Drawing, xs, y: float, letter: str, role: str, *, wide=0.62, tall=0.42, back=False) -> list[Node]:
    """States in a row, each tied to the next one (`back`: to the one before)."""
    mathtext = letter.startswith("$")
    names = [f"{letter}_{{{k}}}$" if mathtext else letter + sub(k) for k in range(1, len(xs) + 1)]
    states = [d.box(float(x), y, wide, tall, name, role=role, size=NORMAL) for x, name in zip(xs, names, strict=True)]
    for a, b in zip(states[:-1], states[1:], strict=True):
        d.arrow(b.left, a.right) if back else d.arrow(a.right, b.left)
    return states


def _attend(q, k, v, asks: int, *, scaled: bool):
    """Scores (T,), weights (T,) and output (1, d) of one query, as far as the numbers are there."""
    if q is None or k is None:
        return None, None, None
    scores = k @ q[asks] / (np.sqrt(k.shape[1]) if scaled else 1)
    weights = np.exp(scores - scores.max())
    weights /= weights.sum()
    return scores, weights, None if v is None else (weights @ v)[None]


def _numbers(d: Drawing, x: float, y: float, m, j: int, role: str) -> Node:
    """Row j of a matrix as a row of cells with its numbers, or three empty cells."""
    if m is None:
        return d.vector(x, y, 3, role=role, cell=(0.3, 0.28))
    few = m.shape[1] < 3
    return d.vector(x, y, [number(v, 2 if few else 1) for v in m[j]], role=role, cell=(0.56 if few else 0.42, 0.28))


def _row(values, step: int, n: int, name: str) -> np.ndarray | None:
    """The values of this step, (n,), from (n,) or (T, n)."""
    if values is None:
        return None
    values = np.asarray(values, dtype=float)
    row = values[step - 1] if values.ndim == 2 and step <= len(values) else values
    if row.shape != (n,):
        raise ValueError(f"{name} of shape {values.shape} at step {step}: needed is ({n},), or a row for every step.")
    return row


def _symbols(letter: str, i: int, values, n: int) -> list[str]:
    return [letter + sub(f"{i}{j}") for j in range(1, n + 1)] if values is None else [number(v) for v in values]
