"""The widgets of notebook 10: a beam that grows and is pruned, and a language model drawn from with cuts."""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import ipywidgets as w
import torch

from course_utils.models.continuation import Continuation
from course_utils.models.language_model import CharLanguageModel
from course_utils.models.sampling import next_logits
from course_utils.plots.beam import BeamFilm, Grown, beam_frame
from course_utils.plots.drawing import number
from course_utils.plots.gradients import next_symbols
from course_utils.seq2seq.beam import Beam, beam_search
from course_utils.seq2seq.decoding import evaluating
from course_utils.seq2seq.sampling import next_probabilities, sample
from course_utils.text.vocabulary import BEGIN, END, PAD, SPECIALS, Vocabulary, detokenise
from course_utils.widgets.controls import SentencePicker, Stepper
from course_utils.widgets.explorer import Explorer
from course_utils.widgets.seq2seq import Sentences, as_text
from course_utils.widgets.traces import read_sentence

LOOKED_AT = 3  # continuations shown for each prefix


def beam_film(
    model: Any, source: torch.Tensor, words: Vocabulary, k: int, *, as_probability: bool = False, **options: Any
) -> BeamFilm:
    """The search of `beam_search(model, source, k, **options)` for one sentence, (1, S), as pictures. For every prefix
    its likeliest continuations are shown, and all that survive."""
    trace: list[Beam] = []
    beam_search(model, source, k, trace=trace, **options)
    steps, before = [], [((), 0.0, False)]  # what the step before kept: tokens, sum of log p, ended
    for beam in trace:
        kept = {tuple(row) for row, total in zip(beam.tokens[0].tolist(), beam.log_prob[0].tolist(), strict=True)
                if total > -torch.inf and row[-1] != PAD}  # fmt: skip
        grown, after = [], []
        for parent, (prefix, total, ended) in enumerate(before):
            if ended:
                continue
            for word, value in _likeliest(model, source, prefix, kept):
                row, said = (*prefix, word), math.exp(total + value) if as_probability else total + value
                grown.append(
                    Grown(words.words[word], parent, number(said, 1 + as_probability), row in kept, word == END)
                )
                if row in kept:
                    after.append((row, total + value, word == END))
        steps.append(tuple(grown))
        before = after
    return BeamFilm(k, tuple(steps))


def _likeliest(model: Any, source: torch.Tensor, prefix: tuple[int, ...], kept: set) -> list[tuple[int, float]]:
    """(word, log p) after the prefix: the likeliest few and those that are kept, the best first."""
    with evaluating(model):
        log_probs = model(source, torch.tensor([[BEGIN, *prefix]]))[0, -1].double().log_softmax(-1)
    log_probs[[PAD, BEGIN]] = -torch.inf
    chosen = set(log_probs.topk(min(LOOKED_AT, len(log_probs))).indices.tolist())
    chosen |= {row[-1] for row in kept if row[:-1] == prefix}
    found = [(word, float(log_probs[word])) for word in chosen if log_probs[word] > -torch.inf]
    return sorted(found, key=lambda pair: -pair[1])


def beam_player(
    model: Any, source_vocab: Vocabulary, target_vocab: Vocabulary, sentences: Sentences, name: str, *, k: int = 3,
    at: int = 0,
) -> Explorer:  # fmt: skip
    """Watch a beam: one click grows every prefix, the next prunes all but the k best. For a listed sentence or a typed
    one, any width up to 4; α decides which finished sentence is chosen at the end. `at` is the frame shown first."""

    @lru_cache(maxsize=64)
    def film(text: str, k: int):
        tokens, remark = read_sentence(text, source_vocab, full_stop=False)
        source = torch.tensor([source_vocab.encode(tokens)])
        return beam_film(model, source, target_vocab, k, keep=k), source, remark

    @lru_cache(maxsize=256)
    def chosen(text: str, k: int, alpha: float):
        best = beam_search(model, film(text, k)[1], k, alpha=alpha).best
        return detokenise(target_vocab.decode(best.tokens[0])), float(best.log_prob)

    def draw(sentence: str, k: int, alpha: float, at: int):
        played, _, remark = film(sentence, k)
        said, total = chosen(sentence, k, alpha)
        how = "grown" if at % 2 == 0 else f"pruned to the {k} best"
        line = f"in the end, with α = {alpha:g}: “{said}”, log p {total:.1f}"
        return (
            beam_frame(played, min(at, played.frames - 1), line),
            f"{name}, step {at // 2 + 1}: {how}. Chosen {line}. {remark}".rstrip(),
        )

    picker = SentencePicker(as_text(sentences))
    width = w.IntSlider(k, 1, 4, description="width k")
    alpha = w.FloatSlider(0.0, min=0.0, max=2.0, step=0.25, description="α")
    stepper = Stepper(film(picker.value, k)[0].frames)
    stepper.value = at

    def another(_change) -> None:
        try:
            frames = film(picker.value, width.value)[0].frames
        except ValueError:
            return  # the Explorer meets the same error and shows it
        with explorer.together():
            stepper.set_steps(frames)

    picker.observe(another, "value")
    width.observe(another, "value")
    explorer = Explorer(
        draw, alt=f"{name}: the prefixes in a beam, step by step, with their sums of log p; those that are pruned are "
        "grey, finished sentences end in the end token.",
        sentence=picker, k=width, alpha=alpha, at=stepper,
    )  # fmt: skip
    return explorer


def cutter(
    model: CharLanguageModel, vocabulary: Vocabulary, prompts: Sequence[str], *, top_p: float = 0.9, n: int = 240
) -> Explorer:
    """A language model over characters, drawn from with temperature, top-k and top-p of one's choice.

    In double precision (model.double()) the same text is drawn on every machine.
    """
    writer, V = Continuation(model), len(vocabulary) - len(SPECIALS)

    @lru_cache(maxsize=32)
    def after(prompt: str):
        ids = vocabulary.encode(list(prompt))
        return torch.tensor([ids]), next_logits(model, ids)[0]

    @lru_cache(maxsize=256)
    def speak(prompt: str, temperature: float, top_k: int, top_p: float, seed: int) -> str:
        drawn = sample(writer, after(prompt)[0], temperature=temperature, top_k=top_k, top_p=top_p, max_length=n,
                       generator=torch.Generator().manual_seed(seed))  # fmt: skip
        return "".join(vocabulary.words[i] for i in drawn.tokens[0].tolist())

    def draw(prompt: str, seed: int, temperature: float, top_k: int, top_p: float):
        prompt = prompt[:60] or "\n"
        p = next_probabilities(after(prompt)[1], temperature, top_k, top_p)
        symbols = {vocabulary.words[i]: float(p[i]) for i in p.topk(min(12, V)).indices.tolist()}
        said = speak(prompt, temperature, top_k, top_p, seed)
        left = int((p > 0).sum())
        figure = next_symbols(symbols, prompt, said, title=f"top-k {top_k}, top-p {top_p:g}")
        return figure, f"{left} symbol{'s' * (left != 1)} can come next; the likeliest has {float(p.max()):.2f}."

    return Explorer(
        draw, alt="Left the probabilities that are left for the next character, right the prompt and the text drawn "
        "after it.",
        prompt=w.Combobox(value=prompts[0], options=tuple(prompts), description="prompt", continuous_update=False),
        seed=w.IntSlider(0, 0, 20, description="seed"),
        temperature=w.FloatSlider(1.0, min=0.1, max=2.0, step=0.05, description="temperature"),
        top_k=w.IntSlider(V, 1, V, description="top-k"),
        top_p=w.FloatSlider(top_p, min=0.05, max=1.0, step=0.05, description="top-p"),
    )  # fmt: skip
