"""The widgets of notebooks 06 and 07: thin shells around `traces` (what is computed) and `plots` (what is drawn)."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import ipywidgets as w

from course_utils.corpora.pair import Pair
from course_utils.plots.attention import STAGES, attention_step
from course_utils.plots.steering import steering
from course_utils.plots.translation import mark_words, marked_translation, seq2seq_unrolled
from course_utils.seq2seq.decoding import translate
from course_utils.text.vocabulary import Vocabulary, detokenise
from course_utils.widgets.controls import SentencePicker, Stepper
from course_utils.widgets.explorer import Explorer
from course_utils.widgets.traces import follow, read_sentence, say_step, steer, trace_attention, trace_fixed

Sentences = Sequence[Pair | str]


def attention_player(
    model: Any, source_vocab: Vocabulary, target_vocab: Vocabulary, sentences: Sentences, name: str, *, at: int = 0
) -> Explorer:
    """Watch an attentive model translate: encoder states → scores → softmax → weighted sum → state → word, one click
    per stage, for a listed sentence or a typed one. `name` says on every frame which model it is; `at` is the frame
    that stands there first (six per word, so 14 is the softmax of the third)."""

    @lru_cache(maxsize=32)
    def film(text: str):
        tokens, remark = read_sentence(text, source_vocab)
        return trace_attention(model, tokens, source_vocab, target_vocab, name), remark

    def draw(sentence: str, at: int):
        steps, remark = film(sentence)
        step, stage = divmod(at, len(STAGES))
        return attention_step(steps[step], stage), f"{say_step(steps[step], stage)} {remark}".rstrip()

    alt = (
        f"{name} translating step by step: encoder states of the source words, scores, attention weights, context, "
        f"state, and the word written; the present stage is framed."
    )
    return _player(draw, lambda text: len(film(text)[0]) * len(STAGES), sentences, alt, at)


def fixed_context_player(
    model: Any, source_vocab: Vocabulary, target_vocab: Vocabulary, sentences: Sentences, name: str
) -> Explorer:
    """Watch a fixed-context model read word by word, keep one vector C, and write from it, one click a step."""

    @lru_cache(maxsize=32)
    def film(text: str):
        tokens, remark = read_sentence(text, source_vocab)
        return trace_fixed(model, tokens, source_vocab, target_vocab, name), remark

    def draw(sentence: str, at: int):
        trace, remark = film(sentence)
        S = len(trace.read)
        said = f"read “{trace.read[at]}”" if at < S else "C alone is left"
        if at > S:
            said = f"wrote “{trace.written[at - S - 1]}” with probability {trace.probabilities[at - S - 1]:.2f}"
        return seq2seq_unrolled(trace, at), f"{name}: {said}. {remark}".rstrip()

    alt = f"{name}: the encoder reads word by word, its last state is the context C, and the decoder writes from C."
    return _player(draw, lambda text: film(text)[0].frames, sentences, alt)


def _player(draw, frames, sentences: Sentences, alt: str, at: int = 0) -> Explorer:
    """An Explorer over (sentence, at) whose stepper begins anew with every sentence."""
    picker = SentencePicker(as_text(sentences))
    stepper = Stepper(frames(picker.value))
    stepper.value = at

    def another(change) -> None:  # observes before the Explorer does, and changes the stepper first
        try:
            count = frames(change.new)
        except ValueError:
            return  # the Explorer meets the same error and shows it
        with explorer.together():
            stepper.set_steps(count)

    picker.observe(another, "value")
    explorer = Explorer(draw, alt=alt, sentence=picker, at=stepper)
    return explorer


def as_text(sentences: Sentences) -> list[str]:
    return [s if isinstance(s, str) else detokenise(s.source) for s in sentences]


def steering_widget(
    model: Any, source_vocab: Vocabulary, target_vocab: Vocabulary, sentences: Sentences, name: str, *,
    step: int = 0, word: int = 0, amount: float = 1.0,
) -> Explorer:  # fmt: skip
    """Choose a target word and a source word, and move that much of the weight there: does the output follow?

    `step`, `word` and `amount` say where the sliders stand at first.
    """

    @lru_cache(maxsize=32)
    def untouched(text: str):
        tokens, remark = read_sentence(text, source_vocab)
        return tokens, remark, follow(model, tokens, source_vocab, target_vocab)

    def draw(sentence: str, step: int, word: int, amount: float):
        tokens, remark, before = untouched(sentence)
        moved = steer(
            model, tokens, source_vocab, target_vocab, step=step - 1, word=word, amount=amount, name=name, before=before
        )
        was, now = moved.said
        follows = f"it still writes “{now}”" if was == now else f"it writes “{now}” instead of “{was}”"
        said = f"{name}, word {step}: with {amount:.0%} of the weight on “{tokens[word]}” {follows}."
        return steering(moved), f"{said} {remark}".rstrip()

    def lengths(text: str) -> tuple[tuple[str, ...], int]:
        tokens, _, before = untouched(text)
        return tokens, max(len(before.written), 1)

    picker = SentencePicker(as_text(sentences))
    tokens, n = lengths(picker.value)
    which = w.IntSlider(min(step, n - 1) + 1, 1, n, description="target word")
    where = w.Dropdown(options=_places(tokens), value=min(word, len(tokens) - 1), description="put the weight on")
    much = w.FloatSlider(amount, min=0.0, max=1.0, step=0.05, description="how much of it")

    def another(change) -> None:
        try:
            tokens, n = lengths(change.new)
        except ValueError:
            return
        with explorer.together():
            which.value, which.max = 1, n
            where.options = _places(tokens)
            where.value = 0

    picker.observe(another, "value")
    explorer = Explorer(
        draw, sentence=picker, step=which, word=where, amount=much,
        alt=f"{name} with its attention moved by hand: weights over the source words, the next word's probabilities, "
        f"and the whole translation, each as it was and after the weight was moved.",
    )  # fmt: skip
    return explorer


def _places(tokens: Sequence[str]) -> list[tuple[str, int]]:
    return [(f"{j + 1} {token}", j) for j, token in enumerate(tokens)]


def bottleneck_explorer(
    models: Mapping[str, Any], source_vocab: Vocabulary, target_vocab: Vocabulary, ladder: Sequence[Pair]
) -> Explorer:
    """A slider from short sentences to long: what each model makes of them, wrong words coloured and underlined.

    `ladder`: sentence pairs; of each length the first is taken, shortest first.
    """
    rungs = sorted({len(pair.source): pair for pair in reversed(ladder)}.items())
    if not rungs:
        raise ValueError("the ladder is empty: give sentence pairs of growing length.")
    pairs = [pair for _, pair in rungs]

    @lru_cache(maxsize=len(pairs))
    def outputs(rung: int) -> dict[str, tuple[str, ...]]:
        said = {}
        for name, model in models.items():
            said[name] = translate(model, [pairs[rung].source], source_vocab, target_vocab)[0]
        return said

    def draw(length: int):
        pair, said = pairs[length], outputs(length)
        wrong = {n: sum(not ok for _, ok in mark_words(pair.target, words)) for n, words in said.items()}
        note = f"{len(pair.source)} source words; wrong words: " + ", ".join(f"{n} {k}" for n, k in wrong.items()) + "."
        return marked_translation(pair.source, pair.target, said, min_height=tallest), note

    longest = pairs[-1]
    blank = {n: longest.target for n in models}
    tallest = float(marked_translation(longest.source, longest.target, blank).get_figheight())
    slider = w.SelectionSlider(options=[(f"{n} words", k) for k, (n, _) in enumerate(rungs)], description="length")
    alt = f"A sentence, its reference and the translations by {', '.join(models)}; wrong words coloured and underlined."
    return Explorer(draw, alt=alt, length=slider)
