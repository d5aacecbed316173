"""A recurrent language model over characters, and its training by truncated backpropagation.

Taught in notebook 04; `sampling` makes it speak, `play_model` holds the one that the course ships. The model predicts
the next symbol from all before it (Mikolov et al. 2010; over characters: Sutskever et al. 2011). Training cuts the text
into lanes and the lanes into chunks; the state goes on from chunk to chunk, the gradient stops at the chunk's beginning
(Williams and Peng 1990).
"""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.layers.recurrent import Recurrent, RecurrentState
from course_utils.seq2seq.decoding import evaluating
from course_utils.text.vocabulary import SPECIALS, Vocabulary


class CharLanguageModel(nn.Module):
    """Ids to the logits of the id that follows: embedding, recurrent layers, one linear layer."""

    def __init__(
        self, vocabulary_size: int, d_embedding: int = 32, d_hidden: int = 128, cell: str = "lstm", n_layers: int = 1
    ) -> None:
        super().__init__()
        if vocabulary_size <= len(SPECIALS):
            raise ValueError(f"vocabulary_size={vocabulary_size} leaves no room beside the {len(SPECIALS)} specials.")
        self.hparams = dict(
            vocabulary_size=vocabulary_size, d_embedding=d_embedding, d_hidden=d_hidden, cell=cell, n_layers=n_layers
        )
        self.embedding = nn.Embedding(vocabulary_size, d_embedding)
        self.recurrent = Recurrent(cell, d_embedding, d_hidden, n_layers)
        self.output = nn.Linear(d_hidden, vocabulary_size)

    def forward(self, ids: Tensor, state: RecurrentState | None = None) -> tuple[Tensor, RecurrentState]:
        """ids (B, T), the state left by what came before (None: nothing) -> logits (B, T, V), the state to go on with.

        Position t of the logits is about the id that stands at t + 1.
        """
        if ids.ndim != 2 or 0 in ids.shape:
            raise ValueError(f"ids of shape {tuple(ids.shape)}: needed are (B, T), at least one id each.")
        outputs, state = self.recurrent(self.embedding(ids), state)  # (B, T, d_hidden)
        return self.output(outputs), state


def detached(state: RecurrentState) -> RecurrentState:
    """The same numbers without their history: what truncated backpropagation hands to the next chunk."""
    return RecurrentState(*(None if part is None else part.detach() for part in state))


# ---- the text as parallel streams ------------------------------------------------------------------------------------


@dataclass
class Chunk:
    """The next T symbols of every lane, and those that follow each of them."""

    inputs: Tensor  # (B, T) long
    targets: Tensor  # (B, T) long, one place later in the text
    streams: "Streams"  # where the state waits
    index: list[int]  # place of the first symbol of each lane in the text

    @property
    def n_tokens(self) -> int:
        return self.targets.numel()

    def to(self, device: torch.device | str) -> "Chunk":
        return Chunk(self.inputs.to(device), self.targets.to(device), self.streams, self.index)

    def __len__(self) -> int:
        return len(self.inputs)


class Streams:
    """A text as `lanes` equally long pieces that are read side by side, `length` symbols at a time.

    `state` is what the model remembers of the lanes so far: `streams_loss` leaves it here, detached, and it is part of
    `state_dict`, so that a run resumed from a checkpoint goes on with the same memory. Once the lanes are read, all
    begin anew with an empty memory. The last symbols of a text (fewer than `lanes`) that do not fill a lane are unused.
    """

    def __init__(self, ids: Sequence[int] | Tensor, lanes: int = 32, length: int = 64) -> None:
        ids = torch.as_tensor(ids, dtype=torch.long)
        if lanes < 1 or length < 1:
            raise ValueError(f"lanes={lanes}, length={length}: use 1 or more of each.")
        per_lane = (len(ids) - 1) // lanes  # predictions a lane
        if per_lane < 1:
            raise ValueError(f"{len(ids)} symbols are too few for {lanes} lanes; give a longer text or fewer lanes.")
        self.lanes, self.length, self.per_lane = lanes, length, per_lane
        self._inputs = ids[: lanes * per_lane].reshape(lanes, per_lane)  # (B, per lane)
        self._targets = ids[1 : lanes * per_lane + 1].reshape(lanes, per_lane)
        self._position = 0  # symbols of each lane already given out
        self.state: RecurrentState | None = None

    def __len__(self) -> int:
        """Chunks in one epoch; the last may be shorter."""
        return -(-self.per_lane // self.length)

    def forever(self) -> Iterator[Chunk]:
        """Chunks without end, from where this object stands."""
        while True:
            if self._position >= self.per_lane:
                self._position, self.state = 0, None
            start = self._position
            self._position += self.length  # before the yield: a state saved now continues with the next chunk
            yield self._take(start)

    def once(self) -> Iterator[Chunk]:
        """Every chunk once, from the beginning; does not move `forever()` and does not touch `state`."""
        for start in range(0, self.per_lane, self.length):
            yield self._take(start)

    def _take(self, start: int) -> Chunk:
        span = slice(start, start + self.length)
        index = [lane * self.per_lane + start for lane in range(self.lanes)]
        return Chunk(self._inputs[:, span], self._targets[:, span], self, index)

    def state_dict(self) -> dict:
        state = None if self.state is None else [part for part in self.state if part is not None]
        return {"data": self._fingerprint(), "batch_size": self.lanes, "length": self.length,
                "position": self._position, "state": state}  # fmt: skip

    def load_state_dict(self, saved: dict) -> None:
        if saved["data"] != self._fingerprint():
            raise ValueError("the saved place belongs to another text, other lanes or chunks; start anew.")
        self._position = saved["position"]
        self.state = None if saved["state"] is None else RecurrentState(*saved["state"])

    def _fingerprint(self) -> str:
        digest = hashlib.sha256(self._inputs.numpy().tobytes())
        return hashlib.sha256(f"{digest.hexdigest()} {self.lanes} {self.length}".encode()).hexdigest()[:12]


def streams_loss(model: CharLanguageModel, chunk: Chunk) -> Tensor:
    """The `objective` that `train` needs for Streams: mean -log p of the chunk's targets, in nats, (). The state comes
    from the streams and goes back to them, detached: forgetting that, the second chunk would ask autograd to run
    backward through the first once more, which has been freed."""
    logits, state = model(chunk.inputs, chunk.streams.state)  # (B, T, V)
    chunk.streams.state = detached(state)
    return F.cross_entropy(logits.flatten(0, 1), chunk.targets.flatten())


def total_nll(model: CharLanguageModel, ids: Sequence[int] | Tensor, lanes: int = 16) -> tuple[float, int]:
    """(sum of -log p in nats, symbols predicted) of a text, read in `lanes` lanes that begin with an empty memory.
    Their quotient is the loss, exp of it the perplexity (`metrics.perplexity`), its 1 / ln 2 fold bits a symbol. The
    model's mode is restored."""
    state, nll, n = None, 0.0, 0
    with evaluating(model):
        for chunk in Streams(ids, lanes, 256).once():
            logits, state = model(chunk.inputs, state)
            nll += F.cross_entropy(logits.flatten(0, 1), chunk.targets.flatten(), reduction="sum").item()
            n += chunk.n_tokens
    return nll, n


# ---- a trained model as a file ---------------------------------------------------------------------------------------


def save_model(path: str | os.PathLike, model: CharLanguageModel, vocabulary: Vocabulary) -> None:
    """Weights in half precision, constructor arguments and vocabulary: one .npz file, the same bytes each time."""
    arrays = {name: tensor.detach().to(torch.float16).numpy() for name, tensor in model.state_dict().items()}
    about = json.dumps({"hparams": model.hparams, "words": vocabulary.words[len(SPECIALS) :]})
    np.savez_compressed(path, about=np.frombuffer(about.encode(), dtype=np.uint8), **arrays)


def load_model(path: str | os.PathLike) -> tuple[CharLanguageModel, Vocabulary]:
    """What `save_model` wrote, in single precision and evaluation mode. No code in the file is run."""
    with np.load(path, allow_pickle=False) as file:
        about = json.loads(file["about"].tobytes())
        weights = {name: torch.from_numpy(file[name].astype(np.float32)) for name in file.files if name != "about"}
    model = CharLanguageModel(**about["hparams"])
    model.load_state_dict(weights)
    return model.eval(), Vocabulary(about["words"])
