"""The widgets of notebook 01: neighbours of a word, arithmetic with words, a window that slides over a sentence.

Thin shells: what is computed comes from WordVectors and `window_examples`, what is drawn from plots/embeddings.py.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache

import ipywidgets as w
import torch

from course_utils.corpora.vectors import WordVectors
from course_utils.models.embeddings import keep_probability, noise_distribution
from course_utils.plots.embeddings import cosine_bars, window_step
from course_utils.text.vocabulary import detokenise, tokenise
from course_utils.widgets.controls import SentencePicker, Stepper
from course_utils.widgets.explorer import Explorer

WIDEST = 4  # places to each side


def _one_word(text: str) -> str:
    """What was typed, as one lower-case word."""
    words = text.lower().split()
    if len(words) != 1:
        raise ValueError(f"Type one word into each field; this one holds {len(words) or 'none'}.")
    return words[0][:40]


def neighbour_explorer(spaces: Mapping[str, WordVectors], words: Sequence[str], *, k: int = 10) -> Explorer:
    """The nearest words of a listed or typed word, by cosine, in one of several sets of vectors {name: vectors}."""
    if not spaces or not words:
        raise ValueError("a neighbour explorer needs at least one set of vectors and one word to list.")
    most = min(10, *(len(vectors) - 1 for vectors in spaces.values()))

    picker = SentencePicker(words, "word")
    picker.text.placeholder = "a word of your own, then Enter"

    def draw(text: str, word: str, k: int):
        asked = _one_word(word)
        found = spaces[text].nearest(asked, k)
        title = f"nearest to “{asked[:20]}” in: {text}"
        return cosine_bars(found, title=title, rows=most), f"{asked}: {', '.join(name for name, _ in found)}."

    return Explorer(
        draw, alt="Bars of the cosines of the nearest words to a chosen word, the nearest on top.",
        text=w.Dropdown(options=list(spaces), description="text read"),
        word=picker, k=w.IntSlider(min(k, most), 1, most, description="how many"),
    )  # fmt: skip


def arithmetic_explorer(
    spaces: Mapping[str, WordVectors], questions: Sequence[tuple[str, str, str]], *, k: int = 5
) -> Explorer:
    """a - b + c: choose a question (a, b, c) or type words of one's own; see the nearest words with and without the
    three that were asked with."""
    if not spaces or not questions:
        raise ValueError("vector arithmetic needs at least one set of vectors and one question.")
    fields = [w.Text(value, continuous_update=False, description=sign)
              for value, sign in zip(questions[0], ("", "minus", "plus"), strict=True)]  # fmt: skip
    listed = w.Dropdown(
        options=[(f"{a} − {b} + {c}", (a, b, c)) for a, b, c in questions], description="question"
    )

    def draw(text: str, question: tuple[str, str, str], a: str, b: str, c: str, excluded: bool):
        a, b, c = map(_one_word, (a, b, c))
        found = spaces[text].analogy(b, a, c, k, exclude_query=excluded)
        said = "" if excluded else ", its own words allowed"
        title = f"{a[:16]} − {b[:16]} + {c[:16]}{said}"
        best = f"{a} − {b} + {c} is nearest to {found[0][0]} in: {text}."
        return cosine_bars(found, title=title, asked=(a, b, c), rows=k), best

    def fill(change) -> None:  # a listed question goes into the three fields; observes before the Explorer does
        with explorer.together():
            for field, value in zip(fields, change.new, strict=True):
                field.value = value

    listed.observe(fill, "value")
    explorer = Explorer(
        draw, alt="Bars of the cosines of the words nearest to a sum of three word vectors, the nearest on top.",
        text=w.Dropdown(options=list(spaces), description="text read"), question=listed,
        a=fields[0], b=fields[1], c=fields[2],
        excluded=w.Checkbox(True, description="leave the three words of the question out"),
    )  # fmt: skip

    return explorer


def window_examples(
    words: Sequence[str], centre: int, window: int, kind: str, negatives: Sequence[Sequence[str]],
    kept: Sequence[bool] | None = None,
) -> tuple[list[int], list[tuple[str, str, tuple[str, ...]]]]:  # fmt: skip
    """(places of the context, [(given, asked for, negatives)]) of one window position.

    `window` places to each side, counted among the words that are kept; a centre that was not kept has no context.
    skip-gram gives an example a pair, CBOW a single one.
    """
    kept = [True] * len(words) if kept is None else list(kept)
    places = [i for i in range(len(words)) if kept[i]]
    if not kept[centre]:
        return [], []
    at = places.index(centre)
    context = [*places[max(0, at - window) : at], *places[at + 1 : at + 1 + window]]
    if kind == "skip-gram":
        return context, [(words[centre], words[j], tuple(n)) for j, n in zip(context, negatives, strict=False)]
    given = " + ".join(words[j] for j in context)
    return context, [(given, words[centre], tuple(negatives[0]))] if context else []


def window_explorer(
    sentences: Sequence[str], words: Sequence[str], counts: torch.Tensor, *, negatives: int = 5, t: float = 1e-3,
    power: float = 0.75, seed: int = 0, at: int = 0,
) -> Explorer:  # fmt: skip
    """A window slides over a sentence, one click a word: the examples that skip-gram or CBOW learns from there, with
    noise words drawn from counts^power, and frequent words thinned out as t says. All draws depend on `seed` and the
    place alone, so that going back shows the same again. `at`: the centre to begin with."""
    row = {word: i for i, word in enumerate(words)}
    noise, keep = noise_distribution(counts, power).cumsum(0), keep_probability(counts, t)

    @lru_cache(maxsize=32)
    def drawn(sentence: str):
        """(tokens, which of them subsampling keeps, noise words for every place and neighbour)"""
        tokens = tokenise(sentence)
        if not any(c.isalnum() for c in "".join(tokens)):
            raise ValueError("There is no word to read: type a sentence, or choose one from the list.")
        if len(tokens) > 20:
            raise ValueError(f"These are {len(tokens)} words, more than a line of the picture holds: shorten it.")
        if tokens[-1] not in (".", "?") and "." in row:
            tokens += (".",)  # as every sentence of the corpus ends
        generator = torch.Generator().manual_seed(seed)
        chances = torch.tensor([float(keep[row[token]]) if token in row else 1.0 for token in tokens]).double()
        kept = (torch.rand(len(tokens), generator=generator, dtype=torch.float64) < chances).tolist()
        draws = torch.rand(len(tokens), 2 * WIDEST, negatives, generator=generator, dtype=torch.float64)
        picks = torch.searchsorted(noise, draws).clamp(max=len(words) - 1).tolist()
        return tokens, kept, [[[words[i] for i in some] for some in place] for place in picks]

    def draw(sentence: str, at: int, window: int, kind: str, subsample: bool):
        tokens, kept, picks = drawn(sentence)
        kept = kept if subsample else [True] * len(tokens)
        context, examples = window_examples(tokens, at, window, kind, picks[at], kept)
        dropped = [i for i, stays in enumerate(kept) if not stays]
        title = f"{'CBOW' if kind == 'cbow' else kind}, window {window}: “{tokens[at][:20]}” is the centre"
        figure = window_step(tokens, at, context, examples, kind=kind, dropped=dropped, title=title, rows=2 * WIDEST)
        many = f"{len(examples)} example{'s' * (len(examples) != 1)}, {len(examples) * negatives} negatives"
        unknown = [f"“{t[:20]}”" for t in dict.fromkeys(tokens) if t not in row]
        remark = f" Not in the vocabulary, so never trained: {', '.join(unknown[:4])}." if unknown else ""
        gone = " The centre itself was thinned out." if at in dropped else ""
        return figure, f"{many}; {len(dropped)} of {len(tokens)} words thinned out.{gone}{remark}"

    picker = SentencePicker([s if isinstance(s, str) else detokenise(s) for s in sentences])
    stepper = Stepper(len(drawn(picker.value)[0]), "centre")
    stepper.value = at

    def another(change) -> None:  # observes before the Explorer does, and changes the stepper first
        try:
            count = len(drawn(change.new)[0])
        except ValueError:
            return  # the Explorer meets the same error and shows it
        with explorer.together():
            stepper.set_steps(count)

    picker.observe(another, "value")
    explorer = Explorer(
        draw, alt="A sentence with a window: the centre framed, its context coloured, and the examples learnt from it.",
        sentence=picker, at=stepper, window=w.IntSlider(2, 1, WIDEST, description="window"),
        kind=w.ToggleButtons(options=["skip-gram", "cbow"]),
        subsample=w.Checkbox(False, description="thin out frequent words"),
    )  # fmt: skip
    return explorer
