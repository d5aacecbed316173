"""The widget of notebook 02: read a sentence word by word and look at the memory."""

from collections.abc import Mapping, Sequence
from functools import lru_cache

import ipywidgets as w
import numpy as np
import torch

from course_utils.corpora.pair import Pair
from course_utils.models.tagger import Tagger
from course_utils.plots.tagging import Memory, memory_strip
from course_utils.seq2seq.decoding import evaluating
from course_utils.text.vocabulary import SPECIALS, Vocabulary, detokenise
from course_utils.widgets.controls import SentencePicker, Stepper
from course_utils.widgets.explorer import Explorer
from course_utils.widgets.traces import read_sentence

REPLACEMENTS = ("the", "her", "they", "we", "old", "guide", "water", "that", "does", "often", ".")
KEEP = "(as it is)"


def memory_player(
    models: Mapping[str, Tagger], words: Vocabulary, tags: Vocabulary, sentences: Sequence[Pair | str], *,
    replacements: Sequence[str] = REPLACEMENTS, at: int = 0,
) -> Explorer:  # fmt: skip
    """One click a word: the hidden state as a growing strip, the label given to each word, the probabilities of the
    present one. An earlier word may be replaced by another, to see how far that reaches.

    `models`: Elman taggers by name (kind "elman"; others have no memory that grows from left to right).
    """
    for name, model in models.items():
        if model.kind != "elman":
            raise ValueError(f"{name!r} is of kind {model.kind!r}: the player shows a state that grows word by word, "
                             "use kind 'elman'.")  # fmt: skip
    labels = tags.words[len(SPECIALS) :]

    @lru_cache(maxsize=64)
    def run(name: str, tokens: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
        return states_and_probabilities(models[name], words.encode(tokens))

    def draw(sentence: str, swap: int, by: str, at: int, model: str):
        tokens, remark = read_sentence(sentence, words)
        states, probabilities = run(model, tokens)
        memory = Memory(model, tokens, states, labels, probabilities, swap)
        if by != KEEP:
            other = (*tokens[:swap], by, *tokens[swap + 1 :])
            after, said = run(model, other)
            memory = Memory(model, other, after, labels, said, swap, states, probabilities)
        return memory_strip(memory, at), f"{_say(memory, tokens, at)} {remark}".rstrip()

    picker = SentencePicker([s if isinstance(s, str) else detokenise(s.source) for s in sentences])
    tokens = read_sentence(picker.value, words)[0]
    where = w.Dropdown(options=_places(tokens), value=0, description="replace")
    by = w.Dropdown(options=[KEEP, *(word for word in replacements if word in words)], value=KEEP, description="by")
    stepper = Stepper(len(tokens))
    stepper.value = at
    which = w.Dropdown(options=list(models), description="model")

    def another(change) -> None:  # observes before the Explorer does, and changes the others first
        try:
            tokens = read_sentence(change.new, words)[0]
        except ValueError:
            return  # the Explorer meets the same error and shows it
        with explorer.together():
            stepper.set_steps(len(tokens))
            where.options = _places(tokens)
            where.value, by.value = 0, KEEP

    picker.observe(another, "value")
    explorer = Explorer(
        draw, sentence=picker, swap=where, by=by, at=stepper, model=which,
        alt="A sentence read word by word: the hidden units after each word as a column of a heat map, under it the "
        "label of each word, the change by a replaced word, and the present word's most probable labels.",
    )  # fmt: skip
    return explorer


def states_and_probabilities(model: Tagger, ids: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """States (T, D) and probabilities of the labels (T, n_tags - 4, the specials left out) of one sentence."""
    source = torch.tensor([list(ids)])
    with evaluating(model):
        states = model.features(model.embedding(source), torch.ones_like(source, dtype=torch.bool))  # (1, T, D)
        probabilities = model.output(states)[..., len(SPECIALS) :].softmax(-1)
    return states[0].numpy(), probabilities[0].numpy()


def _places(tokens: Sequence[str]) -> list[tuple[str, int]]:
    return [(f"{t + 1} {token}", t) for t, token in enumerate(tokens)]


def _say(memory: Memory, tokens: Sequence[str], at: int) -> str:
    best = memory.labels[int(memory.probabilities[at].argmax())]
    said = f"Word {at + 1}, “{memory.words[at]}”: {best} ({memory.probabilities[at].max():.2f})."
    if memory.states_before is None or at < memory.swapped:
        return said
    was = memory.labels[int(memory.probabilities_before[at].argmax())]
    place = f"“{memory.words[memory.swapped]}” for “{tokens[memory.swapped]}”"
    return f"{said} With {place} the state has moved by {memory.change[at]:.2f}; the label was {was} before."
