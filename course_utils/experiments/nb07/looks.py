"""Where a trained decoder looks along a sentence, and what it writes when its weight is moved to a rival. Notebook 07,
section 8."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from course_utils.attention.steering import SteeredAttention, forced, plugged
from course_utils.corpora.mini import load_split
from course_utils.corpora.pair import Pair
from course_utils.seq2seq.decoding import device_of, evaluating
from course_utils.text.batches import make_batch
from course_utils.text.vocabulary import Vocabulary


def own_by_part(maps: Sequence[Tensor], pairs: Sequence[Pair], parts: int = 5) -> list[float]:
    """Share of target words whose largest weight lies on a word linked to them, for each of `parts` equal parts of the
    target sentence, from its beginning to its end. Words without a sure link are left out; `maps`: of
    `metrics.forced_attention`."""
    hit, all_ = [0] * parts, [0] * parts
    for weights, pair in zip(maps, pairs, strict=True):
        for i in {i for _, i in pair.sure}:
            part = i * parts // len(pair.target)
            all_[part] += 1
            hit[part] += (int(weights[i].argmax()), i) in pair.possible | pair.sure
    if 0 in all_:
        raise ValueError(f"{parts} parts of these sentences have {all_} words: take fewer parts or more sentences.")
    return [h / n for h, n in zip(hit, all_, strict=True)]


def sharp(maps: Iterable[Tensor], above: float = 0.9) -> float:
    """Share of rows (target words) whose largest weight is above `above`."""
    largest = torch.cat([weights.max(-1).values for weights in maps])
    return float((largest > above).float().mean())


def rival(pair: Pair, tag: str) -> tuple[int, int, str] | None:
    """(place of the first noun in the target, place of its rival in the source, the rival's translation).

    The rival is the last other source word with this part of speech, linked one to one to a target word with another
    text. None if the sentence has no such noun or rival.
    """
    counts = [sum(i == target for _, i in pair.sure) for target in range(len(pair.target))]
    links = sorted((i, j) for j, i in pair.sure if counts[i] == 1)
    nouns = [(i, j) for i, j in links if pair.source_tags[j] == pair.target_tags[i] == "NOUN"]
    if not nouns:
        return None
    place, own = nouns[0]
    others = [
        (i, j) for i, j in links
        if pair.source_tags[j] == pair.target_tags[i] == tag and j != own and pair.target[i] != pair.target[place]
    ]  # fmt: skip
    return (place, others[-1][1], pair.target[others[-1][0]]) if others else None


def steered(
    model: Any, pairs: Sequence[Pair], source_vocab: Vocabulary, target_vocab: Vocabulary, tag: str, amount: float = 1.0
) -> tuple[int, dict[str, float]]:
    """How many sentences have a rival with this `tag`, and what is written at their first noun when `amount` of its
    weight is moved to the rival, the right words standing before it: shares of "its own word", "the rival's word", and
    of "any noun" (which counts those two again, where they are nouns)."""
    chosen = [(pair, found) for pair in pairs if (found := rival(pair, tag))]
    if not chosen:
        raise ValueError(f"no sentence has a noun and a rival with the tag {tag!r}; tags are NOUN, ADJ, VERB, ...")
    batch = make_batch([pair for pair, _ in chosen], source_vocab, target_vocab).to(device_of(model))
    wanted = batch.source.new_zeros(*batch.target_in.shape, batch.source.shape[1], dtype=torch.get_default_dtype())
    for row, (_, (place, where, _)) in enumerate(chosen):
        wanted[row, place, where] = 1.0
    edit = forced(wanted, amount * wanted.sum(-1))  # other target words keep their own weights
    with evaluating(model), plugged(model, SteeredAttention(model.attention, edit)):
        best = model(batch.source, batch.target_in).argmax(-1)  # (B, T)
    tagged = (both for pair in load_split("train") for both in zip(pair.target, pair.target_tags, strict=True))
    nouns = {word for word, tag_ in tagged if tag_ == "NOUN"}
    count = {"its own word": 0, "the rival's word": 0, "any noun": 0}
    for row, (pair, (place, _, new)) in enumerate(chosen):
        said = target_vocab.words[int(best[row, place])]
        count["its own word"] += said == pair.target[place]
        count["the rival's word"] += said == new
        count["any noun"] += said in nouns
    return len(chosen), {what: n / len(chosen) for what, n in count.items()}
