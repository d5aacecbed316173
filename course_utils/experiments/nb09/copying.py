"""Copying strings over three letters: among equal letters only the place tells which comes next. Notebook 09, after the
long and repetitive utterances of Chorowski et al. 2015, section 3.2. Three decoders, all of Bahdanau's kind:

    content   e = w · tanh(W s + V h)             the additive score
    hybrid    e = w · tanh(W s + V h + U f)       f: the previous weights around the word, filtered
    place     e = w · tanh(W s + U f)             no content at all
"""

import torch
from torch import Tensor

from course_utils.attention.location_aware import LocationAwareAttention
from course_utils.attention.scores import AdditiveScore
from course_utils.corpora.pair import Pair
from course_utils.metrics import exact_match, forced_attention
from course_utils.seq2seq.bahdanau import BahdanauSeq2Seq
from course_utils.seq2seq.decoding import translate
from course_utils.text.vocabulary import Vocabulary

LETTERS = ("a", "b", "c")
TRAINED, TESTED = range(1, 13), (8, 12, 16, 24, 36)
WIDTH, FILTERS, REACH = 32, 5, 5
KINDS = ("content", "hybrid", "place")


class BlindScore(AdditiveScore):
    """The additive score with V = 0: what the keys hold does not count."""

    def project_key(self, key: Tensor) -> Tensor:
        return torch.zeros_like(super().project_key(key))


def strings(n: int, lengths: range | tuple[int, ...], seed: int) -> list[Pair]:
    """`n` strings, each of a length drawn from `lengths`; the target is the source."""
    draw = torch.Generator().manual_seed(seed)
    chosen = torch.randint(len(lengths), (n,), generator=draw).tolist()
    letters = (torch.randint(len(LETTERS), (lengths[k],), generator=draw).tolist() for k in chosen)
    return [Pair(text, text) for text in (tuple(LETTERS[x] for x in row) for row in letters)]


def copier(kind: str, words: Vocabulary) -> BahdanauSeq2Seq:
    """A new model; `kind`: see above."""
    if kind not in KINDS:
        raise ValueError(f"unknown kind {kind!r}: one of {', '.join(map(repr, KINDS))}")
    plug = "additive"
    if kind != "content":
        plug = LocationAwareAttention(WIDTH, 2 * WIDTH, WIDTH, filters=FILTERS, reach=REACH)
        if kind == "place":
            plug.content = BlindScore(WIDTH, 2 * WIDTH, WIDTH)
    widths = dict(d_embedding=WIDTH, d_hidden=WIDTH, d_attention=WIDTH, d_readout=WIDTH)
    return BahdanauSeq2Seq(len(words), len(words), **widths, attention=plug)


def copied(model: BahdanauSeq2Seq, pairs: list[Pair], words: Vocabulary) -> dict[str, float]:
    """Share of strings copied without a fault, and how many places the expected look is off on average."""
    outputs = translate(model, [pair.source for pair in pairs], words, words)
    maps = forced_attention(model, pairs, words, words)
    off = torch.cat([(w @ torch.arange(w.shape[1]).to(w) - torch.arange(len(w))).abs() for w in maps])
    return {"exact_match": exact_match(outputs, [p.target for p in pairs]), "places_off": float(off.mean())}
