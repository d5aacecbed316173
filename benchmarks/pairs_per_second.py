"""Training speed of the course's models beside the same models written plainly with torch.nn.

    python -m benchmarks.pairs_per_second [--rounds 5]

Both sides: one thread, the same batches of the course corpus (64 pairs), forward, backward, clipping, fused AdamW,
dropout 0, process CPU time, sides interleaved within a round, medians over rounds. The plain side has no contract, no
checks and no plug: what a good tutorial would write. A ratio above 1 means that ours is faster.
"""

import argparse
import itertools
import statistics
import time

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from course_utils.corpora.mini import load_split
from course_utils.experiments.nb06.recipes import build_model, vocabularies
from course_utils.seeds import seed_everything
from course_utils.text.batches import Batch, Batches
from course_utils.text.vocabulary import PAD
from course_utils.training import token_loss

UPDATES, WARM, BATCH = 12, 3, 64


class Plain(nn.Module):
    """The two embeddings and the packed encoder that all three share."""

    def __init__(self, source_size: int, target_size: int, width: int, **encoder) -> None:
        super().__init__()
        self.source = nn.Embedding(source_size, width, padding_idx=PAD)
        self.target = nn.Embedding(target_size, width, padding_idx=PAD)
        self.encoder = nn.GRU(width, batch_first=True, **encoder)

    def encode(self, source: Tensor) -> tuple[Tensor, Tensor]:
        lengths = (source != PAD).sum(1)
        packed = pack_padded_sequence(self.source(source), lengths, batch_first=True, enforce_sorted=False)
        states, final = self.encoder(packed)
        return pad_packed_sequence(states, batch_first=True)[0], final  # (B, S, H), (directions, B, H)


class PlainFixed(Plain):
    def __init__(self, source_size: int, target_size: int) -> None:
        super().__init__(source_size, target_size, 128, hidden_size=256)
        self.decoder = nn.GRU(128, 256, batch_first=True)
        self.output = nn.Linear(256, target_size)

    def forward(self, source: Tensor, target_in: Tensor) -> Tensor:
        _, final = self.encode(source)
        return self.output(self.decoder(self.target(target_in), final)[0])


class PlainAttentive(Plain):
    def __init__(self, source_size: int, target_size: int) -> None:
        super().__init__(source_size, target_size, 128, hidden_size=64, bidirectional=True)
        self.decoder = nn.GRU(128, 128, batch_first=True)
        self.key = nn.Linear(128, 128, bias=False)
        self.combine, self.output = nn.Linear(256, 128), nn.Linear(128, target_size)

    def forward(self, source: Tensor, target_in: Tensor) -> Tensor:
        annotations, final = self.encode(source)
        states, _ = self.decoder(self.target(target_in), torch.cat(tuple(final), -1).unsqueeze(0))  # (B, T, H)
        scores = states @ self.key(annotations).transpose(1, 2)  # (B, T, S)
        weights = scores.masked_fill((source == PAD).unsqueeze(1), -torch.inf).softmax(-1)
        return self.output(torch.tanh(self.combine(torch.cat([states, weights @ annotations], -1))))


class PlainBahdanau(Plain):
    def __init__(self, source_size: int, target_size: int) -> None:
        super().__init__(source_size, target_size, 128, hidden_size=128, bidirectional=True)
        self.first = nn.Linear(128, 128)
        self.query, self.key = nn.Linear(128, 128, bias=False), nn.Linear(256, 128, bias=False)
        self.energy, self.cell = nn.Linear(128, 1, bias=False), nn.GRUCell(128 + 256, 128)
        self.hidden, self.output = nn.Linear(128 + 128 + 256, 256), nn.Linear(128, target_size)

    def forward(self, source: Tensor, target_in: Tensor) -> Tensor:
        annotations, final = self.encode(source)
        keys, pads = self.key(annotations), source == PAD
        state, words, before = torch.tanh(self.first(final[1])), self.target(target_in), []
        for word in words.unbind(1):
            scores = self.energy(torch.tanh(self.query(state).unsqueeze(1) + keys)).squeeze(-1)  # (B, S)
            weights = scores.masked_fill(pads, -torch.inf).softmax(-1)
            context = (weights.unsqueeze(1) @ annotations).squeeze(1)  # (B, 2H)
            before.append(torch.cat([state, word, context], -1))
            state = self.cell(torch.cat([word, context], -1), state)
        pairs = self.hidden(torch.stack(before, 1)).unflatten(-1, (128, 2))
        return self.output(pairs.max(-1).values)


PLAIN = {"fixed": PlainFixed, "attentive": PlainAttentive, "bahdanau": PlainBahdanau}


def seconds(model: nn.Module, batches: list[Batch]) -> float:
    """CPU seconds of training `model` on `batches`, after `WARM` updates that do not count."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    started = 0.0
    for number, batch in enumerate(batches):
        if number == WARM:
            started = time.process_time()
        loss = token_loss(model(batch.source, batch.target_in), batch.target_out)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    return time.process_time() - started


def same_size(ours: nn.Module, plain: nn.Module) -> None:
    """Both have the same matrices; biases differ where a paper says so."""
    counts = [sum(p.numel() for p in side.parameters() if p.ndim > 1) for side in (ours, plain)]
    if abs(counts[0] - counts[1]) > 1000:
        raise ValueError(f"not the same model: {counts[0]} weights against {counts[1]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    seed_everything(0)
    words = vocabularies()
    sizes = tuple(map(len, words))
    stream = Batches(load_split("train"), *words, batch_size=BATCH, seed=0).forever()
    batches = list(itertools.islice(stream, WARM + UPDATES))
    print("model       ours, pairs/s   plain torch.nn, pairs/s   ratio (median of rounds)")
    for name, plain in PLAIN.items():
        same_size(build_model(name, *sizes), plain(*sizes))
        times = [(seconds(build_model(name, *sizes), batches), seconds(plain(*sizes), batches)) for _ in range(rounds)]
        ours, theirs = (UPDATES * BATCH / statistics.median(side) for side in zip(*times, strict=True))
        ratio = statistics.median(b / a for a, b in times)
        print(f"{name:12}{ours:10.0f}{theirs:22.0f}{ratio:18.2f}")


if __name__ == "__main__":
    main()
