"""A Transformer without one of its pieces: what is each of them for? Notebook 16.

Weights that remain are those of the whole model, so two models of one seed differ in the missing piece alone. What a
missing piece would have computed is computed all the same and thrown away: compare updates, not seconds.
"""

from typing import Any

from torch import Tensor, nn

from course_utils.attention.socket import Plug
from course_utils.layers.blocks import Residual
from course_utils.seq2seq.transformer import Transformer

PIECES: dict[str, str] = {  # name -> what the model does without it
    "residuals": "a sublayer's output replaces the stream instead of being added to it",
    "norms": "no LayerNorm anywhere",
    "feed-forward": "attention only, no network for each word by itself",
    "positions": "nothing is added to the word vectors",
    "mask": "in training every target word sees all of them, those to come too",
    "within-X": "no self-attention in the encoder",
    "within-Y": "no self-attention in the decoder",
    "between": "no cross-attention: the decoder knows nothing of the source",
}


class Replaced(Residual):
    """A residual connection cut: what goes on is the sublayer's output alone."""

    def after(self, x: Tensor, change: Tensor) -> Tensor:
        change = self.dropout(change)
        return change if self.pre else self.norm(change)


class Skipped(Residual):
    """The branch around a sublayer without the sublayer: what goes on is what came."""

    def after(self, x: Tensor, change: Tensor) -> Tensor:
        return x


class Unmasked(nn.Module):
    """A plug that is never causal."""

    def __init__(self, plug: Plug) -> None:
        super().__init__()
        self.plug = plug

    def forward(self, query: Tensor, key: Tensor, value: Tensor, **call: Any) -> tuple[Tensor, Tensor | None, Any]:
        return self.plug(query, key, value, **{**call, "causal": False})


def take_away(model: Transformer, piece: str) -> Transformer:
    """Remove a piece of PIECES from all blocks of `model`, which is changed and returned."""
    if piece not in PIECES:
        raise ValueError(f"there is no piece {piece!r} to take away: one of {', '.join(map(repr, PIECES))}")
    encoder, decoder = ([block.residuals for block in stack] for stack in (model.encoder, model.decoder))
    if piece == "residuals":
        for residuals in encoder + decoder:
            _become(residuals, Replaced, range(len(residuals)))
    elif piece == "norms":
        for residual in (r for residuals in encoder + decoder for r in residuals):
            residual.norm = nn.Identity()
        model.encoder_norm, model.decoder_norm = nn.Identity(), nn.Identity()
    elif piece == "feed-forward":
        for residuals in encoder + decoder:
            _become(residuals, Skipped, [len(residuals) - 1])
    elif piece == "positions":
        model.positions = None
    elif piece == "mask":
        for block in model.decoder:
            block.self_attention.plug = Unmasked(block.self_attention.plug)
    else:
        stack, place = {"within-X": (encoder, 0), "within-Y": (decoder, 0), "between": (decoder, 1)}[piece]
        for residuals in stack:
            _become(residuals, Skipped, [place])
    return model


def _become(residuals: nn.ModuleList, kind: type[Residual], places) -> None:
    """Put branches of another kind in these places, with the norm and dropout that are there."""
    for i in places:
        old = residuals[i]
        new = kind(old.norm.normalized_shape[0], "pre" if old.pre else "post", old.dropout.p)
        new.norm, new.dropout = old.norm, old.dropout
        residuals[i] = new
