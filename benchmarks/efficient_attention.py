"""Time and memory of every efficient plug, beside scaled_dot_product_attention and beside packages, where installed.

    python -m benchmarks.efficient_attention [--lengths 1024 2048] [--widths 16 64] [--heads 4] [--rounds 3]
                                             [--only window reformer] [--tuned] [--memory] [--save]

One layer (projections included), batch 1, float32, one thread, dropout 0. Times are process CPU milliseconds, forward /
forward and backward, all sides interleaved within a round, medians over rounds. A ratio below 1 means that ours is
faster. `--tuned` tells the C library to keep large pieces of memory (it maps and unmaps those over 32 MB otherwise).
`--memory` measures peaks instead: a forked child a call, its high-water mark less what it held before. `--save` puts
the rows into data/plug_costs.json, which notebook 24 reads, in the place of older ones of the same line and kind.

A package takes part only if it is installed (`pip install --no-deps local-attention reformer-pytorch ...`) and computes
the same function at the same settings; `note` says where it does not. The course never needs one.
"""

import argparse
import ctypes
import gc
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

import torch
from torch import Tensor, nn

from course_utils.attention.costs import growth_exponent, measured, path
from course_utils.attention.socket import Plug
from course_utils.attention.table import make
from course_utils.layers.multihead import MultiHeadAttention

Make = Callable[[int, int, int], nn.Module]                               # (d_head, n_heads, N) -> plug or layer


class AsPlug(nn.Module):
    """A package's attention function of (q, k, v), each (B, H, N, d), in the socket."""

    def __init__(self, function: Callable[[Tensor, Tensor, Tensor], Tensor], module: nn.Module | None = None) -> None:
        super().__init__()
        self.function, self.module = function, module

    def forward(self, query: Tensor, key: Tensor, value: Tensor, **_: Any) -> tuple[Tensor, None, None]:
        return self.function(query, key, value), None, None


@dataclass(frozen=True)
class Line:
    """One plug with settings, and the package that computes the same. A peer raises ImportError where it is missing."""

    ours: Make
    peers: dict[str, Make]
    causal: bool = False
    note: str = ""


def ours(name: str, **settings: int) -> Make:
    return lambda d, H, N: make(name, d, H, N, **settings)


def local_attention(window: int, causal: bool) -> Make:
    def build(d: int, H: int, N: int) -> nn.Module:
        from local_attention import LocalAttention

        found = LocalAttention(
            dim=d, window_size=window, causal=causal, look_backward=1, look_forward=0 if causal else 1,
            exact_windowsize=True, use_rotary_pos_emb=False, autopad=True,
        )  # fmt: skip
        return AsPlug(lambda q, k, v: found(*(x.flatten(0, 1) for x in (q, k, v))).view_as(q), found)

    return build


def reformer_pytorch(rounds: int, bucket: int, causal: bool) -> Make:
    def build(d: int, H: int, N: int) -> nn.Module:
        from reformer_pytorch import LSHAttention

        found = LSHAttention(bucket_size=bucket, n_hashes=rounds, causal=causal)
        return AsPlug(lambda q, k, v: found(k.flatten(0, 1), v.flatten(0, 1))[0].view_as(q), found)

    return build


def hf_longformer(window: int, n_global: int) -> Make:
    def build(d: int, H: int, N: int) -> nn.Module:
        from transformers import LongformerConfig
        from transformers.models.longformer.modeling_longformer import LongformerSelfAttention

        config = LongformerConfig(
            hidden_size=H * d, num_attention_heads=H, attention_window=[2 * window], attention_probs_dropout_prob=0.0
        )
        layer, out = LongformerSelfAttention(config, 0), nn.Linear(H * d, H * d)
        marks = (torch.arange(N).unsqueeze(0) < n_global).float()         # 1: global, 0: local

        class Whole(nn.Module):
            def forward(self, x: Tensor) -> Tensor:
                got = layer(x, attention_mask=marks, is_index_masked=marks < 0, is_index_global_attn=marks > 0,
                            is_global_attn=True)[0]  # fmt: skip
                return out(got)

        return Whole()

    return build


def fast_transformers(n_features: int, causal: bool) -> Make:
    """Its linear attention, with elu + 1 or (n_features > 0) its FAVOR+, which makes two features of each direction."""

    def build(d: int, H: int, N: int) -> nn.Module:
        from fast_transformers.attention import CausalLinearAttention, LinearAttention
        from fast_transformers.feature_maps import Favor
        from fast_transformers.masking import FullMask, LengthMask, TriangularCausalMask

        features = Favor.factory(n_dims=n_features) if n_features else None
        found = (CausalLinearAttention if causal else LinearAttention)(d, feature_map=features).eval()
        pairs, lengths = (TriangularCausalMask if causal else FullMask)(N), LengthMask(torch.tensor([N]))
        return AsPlug(
            lambda q, k, v: found(*(x.transpose(1, 2) for x in (q, k, v)), pairs, lengths, lengths).transpose(1, 2),
            found,
        )

    return build


def performer_pytorch(n_features: int, causal: bool) -> Make:
    def build(d: int, H: int, N: int) -> nn.Module:
        from performer_pytorch import FastAttention

        found = FastAttention(dim_heads=d, nb_features=n_features, causal=causal)
        return AsPlug(found, found)

    return build


def linformer(k: int) -> Make:
    def build(d: int, H: int, N: int) -> nn.Module:
        from linformer import LinformerSelfAttention

        found = LinformerSelfAttention(H * d, seq_len=N, k=k, heads=H)

        class Whole(nn.Module):
            def forward(self, x: Tensor) -> Tensor:
                return found(x)

        return Whole()

    return build


LINES: dict[str, Line] = {
    "SDPA": Line(ours("scaled_dot"), {}),
    "SDPA, causal": Line(lambda d, H, N: AsPlug(_causal_sdpa), {}, causal=True),
    "window 128": Line(ours("window", window=128), {"local-attention": local_attention(128, False)}),
    "window 128, causal": Line(
        ours("window", window=128), {"local-attention": local_attention(128, True)}, causal=True
    ),
    "strided 64, causal": Line(ours("strided", stride=64), {}, causal=True, note="no package found"),
    "longformer 128, 16 global": Line(
        ours("longformer", window=128, n_global=16), {"transformers": hf_longformer(128, 16)}
    ),
    "bigbird 64, 16 global, 3 random": Line(
        ours("bigbird"), {}, note="transformers' keeps a table of N x N: no valid package"
    ),
    "reformer, 4 rounds": Line(
        lambda d, H, N: make("reformer", d, H, N, n_buckets=max(2, N // 64), rounds=4, window=32),
        {"reformer-pytorch": reformer_pytorch(4, 64, False)},
        note="as many pairs computed; reformer-pytorch mixes rounds: not the same function",
    ),
    "reformer, 4 rounds, causal": Line(
        lambda d, H, N: make("reformer", d, H, N, n_buckets=max(2, N // 64), rounds=4, window=64),
        {"reformer-pytorch": reformer_pytorch(4, 64, True)}, causal=True,
        note="as many pairs computed; reformer-pytorch mixes rounds: not the same function",
    ),
    "routing": Line(
        lambda d, H, N: make("routing", d, H, N, n_buckets=max(1, N // 64), window=64).eval(), {},
        note="routing-transformer's groups are of another kind: no valid package",
    ),
    "sinkhorn 64": Line(ours("sinkhorn", block=64), {}, note="sinkhorn-transformer sorts no values: no valid package"),
    "sinkhorn 64, causal": Line(
        ours("sinkhorn", block=64), {}, causal=True, note="sinkhorn-transformer sorts no values: no valid package"
    ),
    "linear": Line(ours("linear"), {"fast-transformers": fast_transformers(0, False)}),
    "linear, causal": Line(ours("linear"), {"fast-transformers": fast_transformers(0, True)}, causal=True),
    "performer 256": Line(
        ours("performer", m=256),
        {"fast-transformers": fast_transformers(256, False), "performer-pytorch": performer_pytorch(256, False)},
    ),
    "performer 256, causal": Line(
        ours("performer", m=256),
        {"fast-transformers": fast_transformers(256, True), "performer-pytorch": performer_pytorch(256, True)},
        causal=True, note="performer-pytorch's leaks the future: not the same function",
    ),
    "linformer 256": Line(ours("linformer", k=256), {"linformer": linformer(256)}),
    "synthesizer, dense": Line(ours("synthesizer_dense"), {}, note="no package found"),
    "synthesizer, factorised dense": Line(ours("synthesizer_factorised_dense"), {}, note="no package found"),
    "synthesizer, random": Line(ours("synthesizer_random"), {}, note="no package found"),
    "transformer-xl, one segment, causal": Line(
        ours("transformer_xl"), {}, causal=True, note="the packages that had it no longer do, or do not run"
    ),
}


def _causal_sdpa(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)


def layer(plug: Plug | nn.Module, d: int, H: int, causal: bool) -> Callable[[Tensor], Tensor]:
    """x (1, N, H d) -> the same shape, through a plug in multi-head attention, or through a layer as it is."""
    if type(plug).__name__ == "Whole":
        return plug
    whole = MultiHeadAttention(d * H, H, attention=plug)
    return lambda x: whole(x, x, x, causal=causal)[0]


def sides(only: list[str], d: int, H: int, N: int) -> Iterator[tuple[str, str, Callable[[Tensor], Tensor]]]:
    """(line, "ours" or the package, call)."""
    for name, line in LINES.items():
        if only and not any(word in name for word in only) and not name.startswith("SDPA"):
            continue
        torch.manual_seed(0)
        yield name, "ours", layer(line.ours(d, H, N), d, H, line.causal)
        for package, build in line.peers.items():
            try:
                yield name, package, layer(build(d, H, N), d, H, line.causal)
            except ImportError:
                continue


def forward(call: Callable[[Tensor], Tensor], x: Tensor) -> None:
    with torch.no_grad():
        call(x)


def both(call: Callable[[Tensor], Tensor], x: Tensor) -> None:
    call(x.requires_grad_()).square().mean().backward()


def milliseconds(act: Callable[..., None], *args: Any) -> float:
    begin = time.process_time()
    act(*args)
    return 1e3 * (time.process_time() - begin)


def megabytes(act: Callable[..., None], *args: Any) -> float:
    """How far a call raises the memory of a forked child (Linux); what the kernels' libraries hold is not counted."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        small = torch.ones(1, 1, 64, 64, requires_grad=True)
        both(lambda x: nn.functional.scaled_dot_product_attention(x, x, x) @ x, small)
        held = _status("VmRSS")
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")                                               # the high-water mark begins again
        act(*args)
        os.write(writing, str((_status("VmHWM") - held) / 1024).encode())
        os._exit(0)
    os.close(writing)
    os.wait()
    with os.fdopen(reading) as file:
        return float(file.read())


def _status(field: str) -> int:
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(field))


def measure(lengths: list[int], widths: list[int], H: int, rounds: int, only: list[str], memory: bool) -> list[dict]:
    """One row a line, side, width and length: medians of forward and of forward and backward."""
    rows = []
    for d in widths:
        for N in lengths:
            x = torch.randn(1, N, H * d, generator=torch.Generator().manual_seed(0))
            calls = list(sides(only, d, H, N))
            gauge = megabytes if memory else milliseconds
            found: list[list[list[float]]] = [[[], []] for _ in calls]
            for turn in range(1 if memory else rounds + 1):               # the first one warms up
                for (_, _, call), kept in zip(calls, found, strict=True):
                    for act, values in zip((forward, both), kept, strict=True):
                        value = gauge(act, call, x)
                        values += [value] if turn or memory else []
            gc.collect()
            for (name, side, _), kept in zip(calls, found, strict=True):
                f, fb = map(statistics.median, kept)
                rows.append({"line": name, "side": side, "d_head": d, "N": N, "f": round(f, 2), "fb": round(fb, 2)})
    return rows


def report(rows: list[dict], lengths: list[int]) -> None:
    """A line each: f/fb at every length, the exponent, the first length cheaper than SDPA, ratios to packages."""
    at = {(r["line"], r["side"], r["d_head"], r["N"]): r for r in rows}
    for line, side, d in dict.fromkeys((r["line"], r["side"], r["d_head"]) for r in rows):
        own = [at[line, side, d, N] for N in lengths]
        words = [f"{line:34} {side:16} d={d:<3}", *(f"{r['f']:8.1f}/{r['fb']:<8.1f}" for r in own)]
        if len(own) > 1:
            words.append(f"exponent {growth_exponent(lengths, [r['fb'] for r in own]):.2f}")
        dense = "SDPA, causal" if "causal" in line else "SDPA"
        if side == "ours" and line != dense:
            less = [N for N, r in zip(lengths, own, strict=True) if r["fb"] < at[dense, "ours", d, N]["fb"]]
            words.append(f"below SDPA from {min(less)}" if less else "not below SDPA")
        elif side != "ours":
            ratios = (at[line, "ours", d, r["N"]]["fb"] / r["fb"] for r in own)
            words.append("ours / this: " + " ".join(f"{ratio:.2f}" for ratio in ratios))
        print(" ".join(words))
    for name, line in LINES.items():
        if line.note:
            print(f"{name}: {line.note}")


def save(rows: list[dict], kind: str) -> None:
    """Into the file that notebook 24 reads, a row a line."""
    def key(row: dict) -> tuple:
        return tuple(row[name] for name in ("kind", "line", "side", "d_head", "N"))

    kept = {key(row): row for row in (measured()["rows"] if path().exists() else [])}
    kept |= {key(row): row for row in ({"kind": kind, **row} for row in rows)}
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        processor = next((line.split(":")[1].strip() for line in file if line.startswith("model name")), "unknown")
    head = {"machine": f"{processor}, one thread, torch {torch.__version__}, Python {platform.python_version()}",
            "date": date.today().isoformat()}  # fmt: skip
    lines = ",\n".join(json.dumps(kept[k]) for k in sorted(kept))
    path().write_text(f"{json.dumps(head)[:-1]}, \"rows\": [\n{lines}\n]}}\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lengths", type=int, nargs="+", default=[1024])
    parser.add_argument("--widths", type=int, nargs="+", default=[16])
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", default=[])
    parser.add_argument("--tuned", action="store_true")
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--save", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.tuned:
        libc = ctypes.CDLL(None)
        libc.mallopt(-4, 0)                                               # M_MMAP_MAX
        libc.mallopt(-1, 2**31 - 1)                                       # M_TRIM_THRESHOLD
    rows = measure(options.lengths, options.widths, options.heads, options.rounds, options.only, options.memory)
    report(rows, options.lengths)
    if options.save:
        save(rows, "memory" if options.memory else "tuned" if options.tuned else "default")


if __name__ == "__main__":
    main()
