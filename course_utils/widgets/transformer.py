"""The widgets of notebook 16: a translation seen through every head, and the Transformer without one of its pieces."""

from collections.abc import Mapping, Sequence
from functools import lru_cache

import ipywidgets as w
import numpy as np
import torch

from course_utils.corpora.pair import Pair
from course_utils.experiments.nb16.pieces import PIECES
from course_utils.plots.transformer import TransformerFilm, piece_view, transformer_frame
from course_utils.seq2seq.decoding import evaluating, greedy
from course_utils.seq2seq.transformer import Transformer
from course_utils.text.vocabulary import BEGIN, END, Vocabulary
from course_utils.widgets.controls import SentencePicker, Stepper
from course_utils.widgets.explorer import Explorer
from course_utils.widgets.seq2seq import as_text
from course_utils.widgets.traces import read_sentence

LONGEST_SOURCE, LONGEST_TARGET = 11, 13  # words that leave the maps readable; the target with its END
CANDIDATES = 3


def trace_transformer(
    model: Transformer, tokens: Sequence[str], source_vocab: Vocabulary, target_vocab: Vocabulary,
    longest: int = LONGEST_TARGET,
) -> TransformerFilm:
    """The greedy translation of `tokens` with every head's weights and the best words of each step. A translation that
    does not end within `longest` words is cut there."""
    source = torch.tensor([source_vocab.encode(tokens)])                  # (1, S)
    with evaluating(model):
        written = greedy(model, source, max_length=longest).tokens[0]     # (T,)
        target_in = torch.cat([torch.tensor([BEGIN]), written[:-1]]).unsqueeze(0)
        maps = model.maps(source, target_in)
        best, ids = model(source, target_in)[0].softmax(-1).topk(CANDIDATES)                    # (T, 3) both
    words = [target_vocab.words[i] if i != END else "<end>" for i in written.tolist()]
    candidates = tuple(
        tuple((target_vocab.words[i] if i != END else "<end>", float(p)) for p, i in zip(*row, strict=True))
        for row in zip(best.tolist(), ids.tolist(), strict=True)
    )
    encoder, decoder, cross = (m[:, 0].numpy() for m in maps)
    return TransformerFilm(
        tuple(tokens), ("<begin>", *words[:-1]), tuple(words), encoder, decoder, cross, candidates
    )


def transformer_player(
    model: Transformer, source_vocab: Vocabulary, target_vocab: Vocabulary, sentences: Sequence[Pair | str], *,
    layer: int | None = None, head: int = 1, at: int = 0,
) -> Explorer:
    """Choose a sentence (or type one), a layer and a head, and step through the words that the model writes: what the
    head sees within X, within Y and between. What is shown first: `layer` and `head`, counted from 1 (layer None: the
    last), and `at`, the step, counted from 0."""
    n_layers, n_heads = len(model.decoder), model.hparams["n_heads"]

    @lru_cache(maxsize=32)
    def film(text: str) -> tuple[TransformerFilm, str]:
        tokens, remark = read_sentence(text, source_vocab, LONGEST_SOURCE)
        return trace_transformer(model, tokens, source_vocab, target_vocab), remark

    def draw(sentence: str, layer: int, head: int, at: int):
        shown, remark = film(sentence)
        row = shown.cross[layer - 1, head - 1, at]
        words = ", ".join(f"“{word}” {p:.2f}" for word, p in shown.candidates[at])
        most = f"“{shown.source[int(row.argmax())]}” ({row.max():.2f})"
        said = f"Next word: {words}. This head looks across at {most} most."
        return transformer_frame(shown, at, layer - 1, head - 1), f"{said} {remark}".rstrip()

    picker = SentencePicker(as_text(sentences))
    stepper = Stepper(len(film(picker.value)[0].written), "word")
    stepper.value = at

    def another(change) -> None:  # observes before the Explorer does, and changes the stepper first
        try:
            steps = len(film(change.new)[0].written)
        except ValueError:
            return  # the Explorer meets the same error and shows it
        with explorer.together():
            stepper.set_steps(steps)

    picker.observe(another, "value")
    explorer = Explorer(
        draw, sentence=picker,
        layer=w.IntSlider(n_layers if layer is None else layer, 1, n_layers, description="layer"),
        head=w.IntSlider(head, 1, n_heads, description="head"), at=stepper,
        alt="Three maps of one head while a Transformer translates: English words looking at English words, French "
        "words at the French words before them, French words at English words; the row of the present step is framed.",
    )  # fmt: skip
    return explorer


def piece_explorer(
    whole: Sequence[Sequence[float]], without: Mapping[str, Sequence[Sequence[float]]], buckets: Sequence[str], *,
    trained: int | None = None,
) -> Explorer:
    """Take a piece of the Transformer away: where it was, and what is left. `whole` and each entry of `without` hold
    scores, seeds x buckets; the names are those of PIECES."""
    if strange := sorted(set(without) - set(PIECES)):
        raise ValueError(f"there is no piece {strange[0]!r}: {', '.join(PIECES)}")

    def draw(piece: str):
        runs = without[piece]
        middles = np.median(np.asarray(runs, dtype=float), axis=0)         # as the picture's line
        said = ", ".join(f"{b}: {m:.2f}" for b, m in zip(buckets, middles, strict=True))
        return piece_view(piece, PIECES[piece], whole, runs, buckets, trained=trained), f"Exact match by words: {said}."

    return Explorer(
        draw, piece=w.Dropdown(options=list(without), description="without"),
        alt="Diagram of encoder and decoder with one piece struck out, and exact match by length with and without it.",
    )
