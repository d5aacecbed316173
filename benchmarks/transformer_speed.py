"""Our multi-head layer and Transformer beside torch's own, at the same shapes.

    python -m benchmarks.transformer_speed [--rounds 15]

T = 32, B = 64, d_model 128, dropout 0, need_weights=False on both sides, a fifth of the source is padding; forward and
backward, one thread, process CPU time, sides interleaved, medians. A ratio below 1 means that ours is faster.
`nn.Transformer` brings no word vectors, positions or output layer: it gets the plainest ones.
"""

import argparse
import statistics
import time
import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn

from course_utils.attention.positions import SinusoidalPositions
from course_utils.layers.multihead import MultiHeadAttention
from course_utils.seq2seq.transformer import Transformer
from course_utils.text.vocabulary import PAD

B, T, D, SIZES = 64, 32, 128, (379, 921)
WARM = 3


class Torchs(nn.Module):
    """nn.Transformer between embeddings and an output layer."""

    def __init__(self, n_heads: int, n_layers: int, norm: str) -> None:
        super().__init__()
        self.source, self.target = (nn.Embedding(size, D, padding_idx=PAD) for size in SIZES)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about nested tensors, which training does not use
            self.body = nn.Transformer(
                D, n_heads, n_layers, n_layers, 4 * D, dropout=0.0, batch_first=True, norm_first=norm == "pre"
            )
        self.output = nn.Linear(D, SIZES[1])
        self.register_buffer("positions", SinusoidalPositions(D)(torch.arange(T)).float())
        self.register_buffer("later", nn.Transformer.generate_square_subsequent_mask(T))

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        pads = source == PAD
        x, y = (table(ids) * D**0.5 + self.positions for table, ids in ((self.source, source), (self.target, target)))
        masks = dict(src_key_padding_mask=pads, memory_key_padding_mask=pads, tgt_mask=self.later, tgt_is_causal=True)
        return self.output(self.body(x, y, **masks))


def training_step(model: nn.Module, source: Tensor, target: Tensor) -> Callable[[], None]:
    def run() -> None:
        logits = model(source, target)
        nn.functional.cross_entropy(logits.flatten(0, 1), target.flatten()).backward()
        model.zero_grad(set_to_none=True)

    return run


def layers(n_heads: int, real: Tensor) -> tuple[Callable[[], None], Callable[[], None]]:
    ours, theirs = MultiHeadAttention(D, n_heads), nn.MultiheadAttention(D, n_heads, batch_first=True)
    x = torch.randn(B, T, D, requires_grad=True)
    return (
        lambda: ours(x, x, x, key_mask=real)[0].sum().backward(),
        lambda: theirs(x, x, x, key_padding_mask=~real, need_weights=False)[0].sum().backward(),
    )


def ratio(one: Callable[[], None], other: Callable[[], None], rounds: int) -> tuple[float, float, float]:
    """Median milliseconds of both, and the median over rounds of one / other."""
    times = []
    for _ in range(WARM + rounds):
        start = time.process_time()
        one()
        middle = time.process_time()
        other()
        times.append((middle - start, time.process_time() - middle))
    ours, theirs = (1000 * statistics.median(side) for side in zip(*times[WARM:], strict=True))
    return ours, theirs, statistics.median(a / b for a, b in times[WARM:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    torch.manual_seed(0)
    source, target = (torch.randint(4, size, (B, T)) for size in SIZES)
    source[:, T - T // 5 :] = PAD
    print("                                  ours, ms   torch.nn, ms   ratio (median of rounds)")
    for n_heads in (1, 4, 8):
        ours, theirs, share = ratio(*layers(n_heads, source != PAD), rounds)
        print(f"multi-head layer, {n_heads} heads{ours:17.1f}{theirs:15.1f}{share:9.2f}")
    for norm in ("pre", "post"):
        pair = Transformer(*SIZES, d_model=D, norm=norm), Torchs(4, 2, norm)
        ours, theirs, share = ratio(*(training_step(model.train(), source, target) for model in pair), rounds)
        print(f"Transformer 2+2 layers, {norm}-norm{ours:{12 - len(norm) + 3}.1f}{theirs:15.1f}{share:9.2f}")


if __name__ == "__main__":
    main()
