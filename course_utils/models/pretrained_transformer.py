"""The inside of a Transformer that somebody else trained: all-MiniLM-L6-v2, 6 layers of 12 heads. Notebook 17.

Its encoder is BERT's (Devlin et al. 2019; distilled by Wang et al. 2020): post-norm blocks with gelu and learnt
positions. So the weights are simply loaded into this course's own blocks. They come with the optional package that
notebook 01 uses (corpora/pretrained.py), and the same `PackageMissing` says so where it is not installed.
"""

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from course_utils.corpora import pretrained
from course_utils.layers.blocks import EncoderBlock, FeedForward
from course_utils.layers.multihead import MultiHeadAttention

FIRST, LAST, UNKNOWN = "[CLS]", "[SEP]", "[UNK]"
EPSILON = 1e-12  # of BERT's layer norms


class Probe(NamedTuple):
    """How much weight one word gives another in every head."""

    weights: Tensor  # (L, H)
    best: Tensor  # (L, H) bool: is it the largest weight of that row?


class PretrainedEncoder(nn.Module):
    """Embeddings and post-norm blocks; `maps` gives the attention weights of every head."""

    def __init__(
        self, pieces: Sequence[str], *, d_model: int, n_heads: int, n_layers: int, d_ff: int, max_length: int
    ) -> None:
        super().__init__()
        self.pieces, self.ids = tuple(pieces), {piece: i for i, piece in enumerate(pieces)}
        self.words, self.positions = nn.Embedding(len(pieces), d_model), nn.Embedding(max_length, d_model)
        self.kinds = nn.Embedding(2, d_model)  # first or second sentence; here always the first
        self.norm = nn.LayerNorm(d_model, eps=EPSILON)
        self.blocks = nn.ModuleList(
            EncoderBlock(MultiHeadAttention(d_model, n_heads), FeedForward(d_model, d_ff, "gelu"), "post", 0.0)
            for _ in range(n_layers)
        )
        for block in self.blocks:
            for residual in block.residuals:
                residual.norm.eps = EPSILON

    def cut(self, text: str) -> list[str]:
        """[CLS], the word pieces of `text`, [SEP]: lower case, no accents, the longest known piece first."""
        letters = unicodedata.normalize("NFD", text.lower())
        letters = "".join(c for c in letters if unicodedata.category(c) != "Mn")
        spaced = "".join(c if c.isalnum() or c.isspace() else f" {c} " for c in letters)
        return [FIRST, *(piece for word in spaced.split() for piece in self._pieces(word)), LAST]

    def _pieces(self, word: str) -> list[str]:
        found, start = [], 0
        while start < len(word):
            mark = "##" if start else ""
            ends = (e for e in range(len(word), start, -1) if mark + word[start:e] in self.ids)
            end = next(ends, None)
            if end is None:
                return [UNKNOWN]
            found.append(mark + word[start:end])
            start = end
        return found

    def embed(self, pieces: Sequence[str]) -> Tensor:
        """The vectors that enter the first block, (1, T, D)."""
        ids = torch.tensor([[self.ids[piece] for piece in pieces]])
        where = torch.arange(ids.shape[1])
        return self.norm(self.words(ids) + self.positions(where) + self.kinds.weight[0])

    @torch.no_grad()
    def maps(self, pieces: Sequence[str]) -> Tensor:
        """All weights for one sentence: (L, H, T, T), row t says where piece t looks."""
        x, found = self.embed(pieces), []
        for block in self.blocks:
            x, weights = block(x, need_weights=True)  # (1, T, D), (1, H, T, T)
            found.append(weights[0])
        return torch.stack(found)


def pretrained_encoder() -> PretrainedEncoder:
    """all-MiniLM-L6-v2, in evaluation mode. PackageMissing without the package, ValueError if its files differ."""
    folder = pretrained._folder()  # the package's own check and its sentence, written once
    pieces = pretrained._checked(folder / "vocab.txt").decode().split("\n")[:-1]
    data = pretrained._checked(folder / "model.safetensors")
    model = PretrainedEncoder(pieces, d_model=384, n_heads=12, n_layers=6, d_ff=1536, max_length=512)
    model.load_state_dict(our_names(lambda name: pretrained.read_safetensors(data, name), n_layers=6))
    return model.eval()


def our_names(read: Callable[[str], Tensor], n_layers: int) -> Mapping[str, Tensor]:
    """BERT's tensors under the names of `PretrainedEncoder`; query, key and value stand in one matrix here."""
    both, found = ("weight", "bias"), {}
    for ours, theirs in {"words": "word", "positions": "position", "kinds": "token_type"}.items():
        found[f"{ours}.weight"] = read(f"embeddings.{theirs}_embeddings.weight")
    for w in both:
        found[f"norm.{w}"] = read(f"embeddings.LayerNorm.{w}")
    parts = {
        "attention.out_proj": "attention.output.dense",
        "residuals.0.norm": "attention.output.LayerNorm",
        "feed_forward.inner": "intermediate.dense",
        "feed_forward.outer": "output.dense",
        "residuals.1.norm": "output.LayerNorm",
    }
    for i in range(n_layers):
        here = f"encoder.layer.{i}"
        for w in both:
            three = [read(f"{here}.attention.self.{name}.{w}") for name in ("query", "key", "value")]
            found[f"blocks.{i}.attention.in_proj.{w}"] = torch.cat(three)
            for ours, theirs in parts.items():
                found[f"blocks.{i}.{ours}.{w}"] = read(f"{here}.{theirs}.{w}")
    return found


# ---- asking every head -----------------------------------------------------------------------------------------------


def previous_piece(maps: Tensor) -> Tensor:
    """(L, H, T, T) -> (L, H): the weight on the piece before, mean over the pieces that have one, [CLS] and [SEP] left
    out as askers and [CLS] as an answer."""
    if maps.shape[-1] < 4:
        raise ValueError(f"{maps.shape[-1]} pieces: needed are two words between the first and the last mark.")
    return maps.diagonal(-1, -2, -1)[..., 1:-1].mean(-1)


def probe(maps: Tensor, pieces: Sequence[str], asker: str, wanted: str) -> Probe:
    """How much weight `asker` gives `wanted` in every head, and whether it is the largest of its row among words: the
    marks, the full stop and the asker itself do not count as answers."""
    for word in (asker, wanted):
        if list(pieces).count(word) != 1:
            raise ValueError(f"{word!r} must stand in the sentence once, as one piece; the pieces are {list(pieces)}.")
    row = maps[:, :, pieces.index(asker)]  # (L, H, T)
    answers = torch.tensor([p not in (FIRST, LAST, asker) and p[0].isalnum() for p in pieces])
    words = row.masked_fill(~answers, -1.0)
    at = pieces.index(wanted)
    return Probe(row[..., at], words.argmax(-1) == at)


def chance_of_some_head(n_heads: int, n_answers: int) -> float:
    """1 - (1 - 1/n)^h: how probable it is that at least one of h heads has its largest weight on a given one of n
    answers, if heads chose at random and independently."""
    if n_heads < 1 or n_answers < 1:
        raise ValueError(f"n_heads={n_heads}, n_answers={n_answers}: both must be 1 or more.")
    return 1 - (1 - 1 / n_answers) ** n_heads


class Twin(NamedTuple):
    """One sentence with two endings: with the first ending "it" is the first noun, with the second the second."""

    beginning: str
    nouns: tuple[str, str]
    endings: tuple[str, str]

    def sentence(self, which: int) -> str:
        return f"{self.beginning} {self.endings[which]}."


TWINS = (  # the first is Vaswani's example with its twin; the trophy is Levesque's; the rest written for this course
    Twin("The animal didn't cross the street because it was too", ("animal", "street"), ("tired", "wide")),
    Twin("The trophy doesn't fit into the suitcase because it is too", ("trophy", "suitcase"), ("big", "small")),
    Twin("The dog did not drink the water because it was too", ("dog", "water"), ("sick", "dirty")),
    Twin("The cat did not eat the fish because it was too", ("cat", "fish"), ("tired", "rotten")),
    Twin("The ball broke the table because it was very", ("ball", "table"), ("hard", "weak")),
    Twin("The horse did not climb the hill because it was too", ("horse", "hill"), ("lazy", "steep")),
    Twin("The car did not pass the truck because it was too", ("car", "truck"), ("slow", "fast")),
    Twin("The boat did not cross the river because it was too", ("boat", "river"), ("old", "deep")),
    Twin("The bird did not eat the apple because it was too", ("bird", "apple"), ("young", "sour")),
    Twin("The train did not cross the bridge because it was too", ("train", "bridge"), ("heavy", "narrow")),
)


def prefers_right(model: PretrainedEncoder, twin: Twin) -> Tensor:
    """(2, L, H) bool: with this ending, does "it" look more at the noun that it means than at the other?"""
    found = []
    for which in (0, 1):
        pieces = model.cut(twin.sentence(which))
        maps = model.maps(pieces)
        weights = [probe(maps, pieces, "it", noun).weights for noun in twin.nouns]
        found.append(weights[which] > weights[1 - which])
    return torch.stack(found)
