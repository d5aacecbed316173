"""An encoder that fills in hidden characters of real plays: the trained maps whose rank notebook 22 looks at.

Windows of N characters; 15 % of them are hidden behind one symbol, and every hidden one is guessed from the other
characters on both sides (Devlin et al. 2019 without their random and unchanged words). Any plug of the socket that need
not be causal stands in for dense attention; that is what Wang et al. (2020) trained Linformer on, with subwords.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.attention.positions import RotaryPositions
from course_utils.attention.scores import xavier
from course_utils.attention.table import make
from course_utils.checks import check_widths
from course_utils.layers.blocks import EncoderBlock, FeedForward
from course_utils.layers.multihead import MultiHeadAttention
from course_utils.text.vocabulary import END

HIDDEN = END                                                              # the symbol in the place of a hidden one
SHARE = 0.15                                                              # of the characters are hidden
SIZES = {"dense": None, "linformer": "k", "linear": None, "performer": "m"}  # plug -> which of its settings is `size`


@dataclass
class Windows:
    """Windows of a text, with the places that are hidden."""

    ids: Tensor                                                           # (B, N) long, as in the text
    hidden: Tensor                                                        # (B, N) bool
    index: list[int]                                                      # where each window begins in the text

    @property
    def source(self) -> Tensor:
        """(B, N): what the model sees."""
        return self.ids.masked_fill(self.hidden, HIDDEN)

    @property
    def n_tokens(self) -> int:
        return int(self.hidden.sum())

    def to(self, device: torch.device | str) -> "Windows":
        return Windows(self.ids.to(device), self.hidden.to(device), self.index)

    def __len__(self) -> int:
        return len(self.ids)


class WindowBatches:
    """Random windows of a text without end; the same seed gives the same stream."""

    def __init__(self, ids: Tensor, length: int = 128, batch_size: int = 16, seed: int = 0) -> None:
        if length < 2 or len(ids) < length:
            raise ValueError(f"length={length}: a window has 2 to {len(ids)} characters, as many as the text")
        self.ids, self.length, self.batch_size, self.seed, self.drawn = ids, length, batch_size, seed, 0

    def take(self, n: int, rng: torch.Generator) -> Windows:
        """`n` windows drawn with `rng`, with SHARE of their characters hidden."""
        starts = torch.randint(len(self.ids) - self.length + 1, (n,), generator=rng)
        ids = self.ids[starts[:, None] + torch.arange(self.length)]       # (n, N)
        return Windows(ids, torch.rand(ids.shape, generator=rng) < SHARE, starts.tolist())

    def forever(self) -> Iterator[Windows]:
        while True:
            rng = torch.Generator().manual_seed(1_000_003 * self.seed + self.drawn)
            self.drawn += 1
            yield self.take(self.batch_size, rng)

    def state_dict(self) -> dict:
        digest = hashlib.sha256(self.ids.numpy().tobytes()).hexdigest()[:12]
        data = f"windows of {self.length} in text {digest}, seed={self.seed}"
        return {"data": data, "batch_size": self.batch_size, "drawn": self.drawn}

    def load_state_dict(self, state: dict) -> None:
        if {**state, "drawn": self.drawn} != self.state_dict():
            raise ValueError(f"the saved order is of {state['data']}, batch {state['batch_size']}: build the same one")
        self.drawn = state["drawn"]


class MaskedCharacters(nn.Module):
    """Embedding, `n_layers` pre-norm encoder blocks around a plug of SIZES with rotary positions, one linear layer.

    `size`: k of "linformer", m of "performer"; the other plugs have none.
    """

    def __init__(
        self, n_symbols: int, length: int, plug: str = "dense", size: int = 32, d_model: int = 64, n_heads: int = 4,
        n_layers: int = 2,
    ) -> None:  # fmt: skip
        super().__init__()
        check_widths(n_symbols=n_symbols, length=length, size=size, n_layers=n_layers)
        if plug not in SIZES:
            raise ValueError(f"unknown plug {plug!r}: one of {', '.join(map(repr, SIZES))}")
        name, settings = ("scaled_dot" if plug == "dense" else plug), {SIZES[plug]: size} if SIZES[plug] else {}
        d_head = d_model // n_heads
        self.hparams = dict(n_symbols=n_symbols, length=length, plug=plug, size=size, d_model=d_model, n_heads=n_heads,
                            n_layers=n_layers)  # fmt: skip
        self.embedding = nn.Embedding(n_symbols, d_model)
        self.blocks = nn.ModuleList(
            EncoderBlock(
                MultiHeadAttention(d_model, n_heads, make(name, d_head, n_heads, length, **settings),
                                   rotary=RotaryPositions(d_head)),
                FeedForward(d_model, 2 * d_model), "pre", 0.0,
            )
            for _ in range(n_layers)
        )  # fmt: skip
        self.norm, self.output = nn.LayerNorm(d_model), xavier(nn.Linear(d_model, n_symbols))

    def forward(self, source: Tensor) -> Tensor:
        """source (B, N) long -> logits (B, N, n_symbols), about the character that stands at each place itself."""
        x = self.embedding(source)                                            # (B, N, d_model)
        for block in self.blocks:
            x, _ = block(x)
        return self.output(self.norm(x))

    @torch.no_grad()
    def projections(self, source: Tensor) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Queries, keys and values (B, H, N, d) of every layer, as the plugs get them."""
        x, found, where = self.embedding(source), [], torch.arange(source.shape[1], device=source.device)
        for block in self.blocks:
            found.append(block.attention.project(block.residuals[0].before(x), "qkv", where))
            x, _ = block(x)
        return found


def hidden_loss(model: MaskedCharacters, batch: Windows) -> Tensor:
    """Mean -log p of the hidden characters, in nats: an `objective` for `training.train`."""
    return F.cross_entropy(model(batch.source)[batch.hidden], batch.ids[batch.hidden])


@torch.no_grad()
def hidden_scores(model: MaskedCharacters, batch: Windows) -> dict[str, float]:
    """The share of hidden characters guessed right, and the mean -log p in nats."""
    logits, truth = model(batch.source)[batch.hidden], batch.ids[batch.hidden]
    right = (logits.argmax(-1) == truth).double().mean()
    return {"n": len(truth), "accuracy": float(right), "loss": float(F.cross_entropy(logits, truth))}
