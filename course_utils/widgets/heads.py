"""The widgets of notebook 14: every head of a Transformer to be looked at and switched off; the split, step by step."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import ipywidgets as w
import numpy as np
import torch

from course_utils.corpora.pair import Pair
from course_utils.experiments.nb14.heads import KINDS, Head, attentions, without
from course_utils.plots.heads import SPLIT_STAGES, HeadView, SplitFilm, head_view, split_frame
from course_utils.seq2seq.decoding import translate
from course_utils.text.vocabulary import BEGIN, END, Vocabulary, detokenise
from course_utils.widgets.controls import SentencePicker, Stepper
from course_utils.widgets.explorer import Explorer
from course_utils.widgets.seq2seq import as_text
from course_utils.widgets.traces import read_sentence

LONGEST_SOURCE, LONGEST_TARGET = 13, 14
CALLED = {"encoder": "encoder's self-attention", "decoder": "decoder's self-attention", "cross": "cross-attention"}


# --- one head of a trained model --------------------------------------------------------------------------------------


def look_at_head(
    model: Any, tokens: Sequence[str], written: Sequence[str], source_vocab: Vocabulary, target_vocab: Vocabulary,
    head: Head, off: bool = False,
) -> HeadView:  # fmt: skip
    """The map of one head while the model is led along `written` (END is added), and the probability of each of these
    words with all heads on and, if `off`, without this one. The map is that of the whole model."""
    source = torch.tensor([source_vocab.encode(tokens)])                  # (1, S)
    ids = target_vocab.encode(written)
    target_in, target_out = torch.tensor([[BEGIN, *ids]]), torch.tensor([[*ids, END]])
    maps = model.maps(source, target_in)
    weights = getattr(maps, head.kind)[head.layer, 0, head.head].numpy()

    def sure() -> tuple[float, ...]:
        with torch.no_grad():
            p = model(source, target_in).softmax(-1)                      # (1, T, V)
        return tuple(p.gather(2, target_out.unsqueeze(-1)).flatten().tolist())

    before, after = sure(), None
    if off:
        with without(model, [head]):
            after = sure()
    read = ("<begin>", *written)
    looking = tuple(tokens) if head.kind == "encoder" else read
    looked_at = read if head.kind == "decoder" else tuple(tokens)
    name = f"{CALLED[head.kind]}, layer {head.layer + 1}, head {head.head + 1}".capitalize()
    return HeadView(name, looked_at, looking, weights, (*written, "<end>"), before, after)


def head_explorer(
    model: Any, source_vocab: Vocabulary, target_vocab: Vocabulary, sentences: Sequence[Pair | str]
) -> Explorer:
    """Choose a sentence (or type one), a kind of attention, a layer, a head; switch the head off and see which words
    the model is less sure of, and what it now writes."""
    layers = attentions(model)
    n_layers, n_heads = 1 + max(layer for _, layer in layers), max(layer.n_heads for layer in layers.values())

    @lru_cache(maxsize=32)
    def reading(text: str):
        tokens, remark = read_sentence(text, source_vocab, LONGEST_SOURCE)
        return tokens, remark, said(tokens)

    def said(tokens) -> tuple[str, ...]:
        return translate(model, [tokens], source_vocab, target_vocab)[0][:LONGEST_TARGET]

    @lru_cache(maxsize=256)
    def film(text: str, head: Head, off: bool):
        tokens, _, written = reading(text)
        view = look_at_head(model, tokens, written, source_vocab, target_vocab, head, off)
        if not off:
            return view, f"It writes “{detokenise(written)}”."
        with without(model, [head]):
            now = said(tokens)
        follows = "the same" if now == written else f"“{detokenise(now)}” instead of “{detokenise(written)}”"
        lost = max(range(len(view.before)), key=lambda k: view.before[k] - view.after[k])
        return view, (
            f"Without this head it writes {follows}; what suffers most is “{view.written[lost]}”, "
            f"{view.before[lost]:.2f} → {view.after[lost]:.2f}."
        )

    def draw(sentence: str, kind: str, layer: int, head: int, off: bool):
        view, text = film(sentence, Head(kind, layer, head), off)
        return head_view(view), f"{text} {reading(sentence)[1]}".rstrip()

    return Explorer(
        draw, sentence=SentencePicker(as_text(sentences)),
        kind=w.Dropdown(options=[(CALLED[k], k) for k in KINDS], value="cross", description="which attention"),
        layer=w.Dropdown(options=[(str(i + 1), i) for i in range(n_layers)], description="layer"),
        head=w.Dropdown(options=[(str(h + 1), h) for h in range(n_heads)], description="head"),
        off=w.Checkbox(False, description="switch this head off", indent=False),
        alt="The attention map of one head over a sentence, and beside it the probabilities of the words the model "
        "writes; with the head switched off, those before and after.",
    )  # fmt: skip


# --- the split, step by step ------------------------------------------------------------------------------------------

TINY_WORDS = ("we", "see", "it")
TINY_X = np.array([[1, 0, 2, 0], [0, 1, 0, 1], [1, 1, 0, -1]], dtype=float)  # (T, D)
TINY_Q = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 1], [1, 0, 0, -1]], dtype=float)
TINY_K = np.array([[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], dtype=float)
TINY_V = np.array([[1, 0, 0, 0], [0, 2, 0, 0], [0, 0, 1, 0], [0, 1, 0, 1]], dtype=float)
TINY_O = np.array([[1, 0, 0, 1], [0, 1, 0, 0], [0, 0, 1, 0], [1, 0, -1, 0]], dtype=float)


def split_film(n_heads: int, straight: bool = False) -> SplitFilm:
    """Multi-head attention of three words of four numbers. `straight`: cut by a straight reshape, the mistake."""
    T, D = TINY_X.shape
    if D % n_heads:
        raise ValueError(f"{D} numbers a word cannot be cut into {n_heads} equal heads: use 1, 2 or 4.")
    d = D // n_heads

    def cut(table: np.ndarray) -> np.ndarray:                             # (T, D) -> (H, T, d)
        return table.reshape(n_heads, T, d) if straight else table.reshape(T, n_heads, d).swapaxes(0, 1)

    projected = tuple(TINY_X @ W.T for W in (TINY_Q, TINY_K, TINY_V))
    q, k, v = heads = tuple(map(cut, projected))
    powers = np.exp(q @ k.swapaxes(1, 2) / np.sqrt(d))
    weights = powers / powers.sum(-1, keepdims=True)                      # (H, T, T)
    found = weights @ v
    concatenated = (found if straight else found.swapaxes(0, 1)).reshape(T, D)
    owner = cut(np.repeat(np.arange(T)[:, None], D, 1))
    return SplitFilm(TINY_WORDS, n_heads, TINY_X, projected, heads, owner, weights, found, concatenated,
                     concatenated @ TINY_O.T, straight)  # fmt: skip


SAID = (
    "Three words of four numbers; a colour a word.",
    "Every word is multiplied by W_Q, W_K and W_V: four numbers each again.",
    "{H} head(s) of width {d}: a head gets numbers of every word.",
    "Each head has weights of its own; a row sums to 1.",
    "What the heads found stands side by side again, a row a word.",
    "W_O mixes the heads; only here do they meet.",
)
SAID_WRONG = {
    2: "The shape is right, but look at the colours: a head holds words, not slices of words.",
    3: "Weights between pieces of words, and their rows sum to 1 all the same.",
    4: "The straight reshape back hides it: every number is again in a row of some word.",
}


def split_player() -> Explorer:
    """Project, split, attend, concatenate, mix: click by click, with 1, 2 or 4 heads, rightly or by the mistake."""

    def draw(at: int, heads: int, straight: bool):
        film = split_film(heads, straight)
        said = SAID_WRONG.get(at) if straight and heads > 1 else None
        return split_frame(film, at), (said or SAID[at]).format(H=heads, d=film.x.shape[1] // heads)

    return Explorer(
        draw, at=Stepper(len(SPLIT_STAGES)),
        heads=w.Dropdown(options=[("1 head", 1), ("2 heads", 2), ("4 heads", 4)], value=2, description="heads"),
        straight=w.Checkbox(False, description="reshape straight to (H, T, d): the mistake", indent=False),
        alt="Multi-head attention on three words of four numbers, stage by stage: words, projections, heads, weights, "
        "concatenation, output; a colour a word, a frame a head.",
    )  # fmt: skip
