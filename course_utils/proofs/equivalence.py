"""The models again, written as the papers write them: one sentence, one word, one cell at a time. From notebook 06 on.

`reference(model, source, target_in)` copies the model's weights into plain `nn.GRUCell`/`nn.LSTMCell` and follows the
equations with Python loops: no batch, no pads, no packing, no kernel over time, no attention socket. Slow, and easy to
read beside the paper. `torch_equivalence` is the proof that model and equations agree. (The Transformer is held against
`nn.Transformer` itself too, in tests/test_transformer.py.)
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from course_utils.attention.dense import DenseAttention
from course_utils.attention.relative import AlibiAttention, RelativeAttention
from course_utils.attention.scores import (
    AdditiveScore,
    ConcatScore,
    CosineScore,
    DotScore,
    GeneralScore,
    NormedScore,
    ScaledDotScore,
    Score,
)
from course_utils.layers.blocks import DecoderBlock, EncoderBlock, Residual
from course_utils.layers.convolution import Convolution
from course_utils.layers.multihead import MultiHeadAttention
from course_utils.layers.readout import MaxoutReadout
from course_utils.proofs.tools import run, same, sample
from course_utils.seq2seq.attentive import AttentiveSeq2Seq
from course_utils.seq2seq.bahdanau import BahdanauSeq2Seq
from course_utils.seq2seq.contract import Seq2Seq
from course_utils.seq2seq.convolutional import ConvolutionalSeq2Seq
from course_utils.seq2seq.fixed_context import FixedContextSeq2Seq
from course_utils.seq2seq.transformer import Transformer
from course_utils.text.vocabulary import PAD

States = list[tuple[Tensor, ...]]                        # one (h,) or (h, c) a layer, each (D,)


@torch.no_grad()
def torch_equivalence(model: Seq2Seq) -> None:
    """Every row of a ragged batch agrees with the loop over plain cells, in logits and attention."""
    batch = sample()
    logits, attention = run(model, batch.source, batch.target_in)
    for row, (source, target_in) in enumerate(zip(batch.source, batch.target_in, strict=True)):
        source, target_in = source[source != PAD], target_in[target_in != PAD]
        T, S = len(target_in), len(source)
        expected, weights = reference(model, source, target_in)
        same(logits[row, :T], expected, f"row {row}: logits differ from plain torch cells")
        if weights is not None:
            same(attention[row, :T, :S], weights, f"row {row}: the map differs from the loop's")


def reference(model: Seq2Seq, source: Tensor, target_in: Tensor) -> tuple[Tensor, Tensor | None]:
    """One sentence, (S,) and (T,) without pads -> logits (T, V), weights (T, S) | None."""
    equations = next((found for kind, found in REFERENCES.items() if isinstance(model, kind)), None)
    if equations is None:
        raise ValueError(f"no equations are written down for {type(model).__name__}: add them to REFERENCES")
    x, y = model.source_embedding.weight[source], model.target_embedding.weight[target_in]
    logits, weights = equations(model, x, y)
    return torch.stack(logits), torch.stack(weights) if weights else None


def fixed_context(model: FixedContextSeq2Seq, x: Tensor, y: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """Sutskever et al. 2014, Cho et al. 2014."""
    encoder, decoder = stacked(model.encoder.rnn), stacked(model.decoder.rnn)
    lstm = isinstance(model.decoder.rnn, nn.LSTM)
    states = zeros(encoder, lstm)
    for word in x.flip(0) if model.reverse_source else x:
        _, states = advance(encoder, word, states)
    context = states[-1][0]                                                       # C
    if model.every_step:
        parts = torch.tanh(model.bridge(context)).chunk(len(decoder) * (2 if lstm else 1))
        states = [parts[layer :: len(decoder)] for layer in range(len(decoder))]
    logits = []
    for word in y:
        top, states = advance(decoder, torch.cat([word, context]) if model.every_step else word, states)
        logits.append(maxout_words(model.readout, top, word, context) if model.every_step else model.output(top))
    return logits, []


def attentive(model: AttentiveSeq2Seq, x: Tensor, y: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """Luong et al. 2015, eq. 5-6, with a bidirectional encoder; with input feeding, section 3.3."""
    annotations, final = both_ways(model.encoder.rnn, x)
    cells, states = stacked(model.decoder.rnn), [final]
    logits, weights = [], []
    attentional = torch.zeros_like(final[0])
    for word in y:
        h, states = advance(cells, torch.cat([word, attentional]) if model.input_feeding else word, states)
        a = attend(model.attention, h, annotations)
        context = sum(a_j * h_j for a_j, h_j in zip(a, annotations, strict=True))
        attentional = torch.tanh(model.combine(torch.cat([h, context])))
        logits.append(model.output(attentional))
        weights.append(a)
    return logits, weights


def bahdanau(model: BahdanauSeq2Seq, x: Tensor, y: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """Bahdanau et al. 2015, appendix A."""
    annotations, _ = both_ways(model.encoder.rnn, x)
    s = torch.tanh(model.bridge(annotations[0][model.cell.hidden_size :]))        # s_0 from h←_1
    logits, weights = [], []
    for word in y:
        a = attend(model.attention, s, annotations)                               # the previous state asks
        context = sum(a_j * h_j for a_j, h_j in zip(a, annotations, strict=True))
        logits.append(maxout_words(model.readout, s, word, context))
        s = model.cell(torch.cat([word, context]), s)
        weights.append(a)
    return logits, weights


def transformer(model: Transformer, x: Tensor, y: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """Vaswani et al. 2017, section 3; the map is the last block's cross-attention, averaged over heads."""
    encoded, decoded = with_positions(model, x), with_positions(model, y)
    for block in model.encoder:
        encoded = encoder_block(block, encoded)
    encoded = [model.encoder_norm(h) for h in encoded]
    for block in model.decoder:
        decoded, weights = decoder_block(block, decoded, encoded)
    words = model.output or (lambda h: torch.stack([w @ h if i != PAD else 0 * h[0]
                                                    for i, w in enumerate(model.target_embedding.weight)]))
    return [words(model.decoder_norm(h)) for h in decoded], [w.mean(0) for w in weights]


def convolutional(model: ConvolutionalSeq2Seq, x: Tensor, y: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """Gehring et al. 2017, eq. 1-2 and section 3.5; the map is the mean over the decoder's layers."""
    half, m = math.sqrt(0.5), len(x)
    e, g = (list(words if places is None else words + places.table[: len(words)])
            for words, places in ((x, model.source_positions), (y, model.target_positions)))
    h = [model.encoder_in(word) for word in e]
    for block in model.encoder:
        k = block.convolution.conv.kernel_size[0]
        h = [half * (gated(block.convolution, h, i - k // 2) + h[i]) for i in range(m)]
    z = [model.encoder_out(state) for state in h]
    h, maps = [model.decoder_in(word) for word in g], []
    for layer in model.decoder:
        k, above, rows = layer.block.convolution.conv.kernel_size[0], [], []
        for i in range(len(g)):
            moved = gated(layer.block.convolution, h, i - (k - 1))
            a = attend(layer.attention, half * (layer.query(moved) + g[i]), z)
            c = sum(a_j * half * (z_j + e_j) for a_j, z_j, e_j in zip(a, z, e, strict=True)) * m * math.sqrt(1 / m)
            above.append(half * (half * (moved + layer.context(c)) + h[i]))
            rows.append(a)
        h = above
        maps.append(torch.stack(rows))
    return [model.output(model.decoder_out(state)) for state in h], list(torch.stack(maps).mean(0))


def gated(convolution: Convolution, h: list[Tensor], first: int) -> Tensor:
    """A ⊗ σ(B) of the window that begins at place `first`, (D,); beyond the ends stand zeros."""
    weight, wide = convolution.conv.weight, convolution.conv.bias                 # (2D, D, k), (2D,)
    for i in range(weight.shape[2]):
        if 0 <= first + i < len(h):
            wide = wide + weight[:, :, i] @ h[first + i]
    A, B = wide[: len(wide) // 2], wide[len(wide) // 2 :]
    return A / (1 + torch.exp(-B))


REFERENCES: dict[type, Callable[..., tuple[list[Tensor], list[Tensor]]]] = {
    FixedContextSeq2Seq: fixed_context, AttentiveSeq2Seq: attentive, BahdanauSeq2Seq: bahdanau,
    Transformer: transformer, ConvolutionalSeq2Seq: convolutional,
}


def stacked(rnn: nn.RNNBase, suffix: str = "") -> list[nn.RNNCellBase]:
    """The layers of `rnn` as plain cells with copied weights; suffix "_reverse" for the backward direction."""
    cells = []
    for layer in range(rnn.num_layers):
        weights = {name: getattr(rnn, f"{name}_l{layer}{suffix}") for name in
                   ("weight_ih", "weight_hh", "bias_ih", "bias_hh")}
        cell = nn.LSTMCell if isinstance(rnn, nn.LSTM) else nn.GRUCell
        d_input, dtype = weights["weight_ih"].shape[1], weights["weight_ih"].dtype
        cells.append(nn.utils.skip_init(cell, d_input, rnn.hidden_size, dtype=dtype))
        cells[-1].load_state_dict(weights)
    return cells


def zeros(cells: list[nn.RNNCellBase], lstm: bool) -> States:
    return [(cell.bias_hh.new_zeros(cell.hidden_size),) * (2 if lstm else 1) for cell in cells]


def advance(cells: list[nn.RNNCellBase], word: Tensor, states: States) -> tuple[Tensor, States]:
    """One word through all layers: the top layer's output, the new states."""
    after = []
    for cell, state in zip(cells, states, strict=True):
        new = cell(word, tuple(state)) if isinstance(cell, nn.LSTMCell) else (cell(word, state[0]),)
        after.append(new)
        word = new[0]
    return word, after


def both_ways(rnn: nn.RNNBase, x: Tensor) -> tuple[list[Tensor], tuple[Tensor, ...]]:
    """Annotations [h→_j; h←_j], and the two final states side by side."""
    ways, finals = [], []
    for suffix, words in (("", x), ("_reverse", x.flip(0))):
        cells, outputs = stacked(rnn, suffix), []
        states = zeros(cells, isinstance(rnn, nn.LSTM))
        for word in words:
            output, states = advance(cells, word, states)
            outputs.append(output)
        ways.append(outputs[::-1] if suffix else outputs)
        finals.append(states[-1])
    return [torch.cat(pair) for pair in zip(*ways, strict=True)], tuple(map(torch.cat, zip(*finals, strict=True)))


def attend(attention: DenseAttention, query: Tensor, annotations: list[Tensor]) -> Tensor:
    """a_j = exp(e_j) / Σ exp(e_k), one score at a time: (S,)."""
    exponentials = [torch.exp(score_of(attention.score, query, h)) for h in annotations]
    return torch.stack(exponentials) / sum(exponentials)


def score_of(score: Score, q: Tensor, k: Tensor) -> Tensor:
    """One query, one key, by the formula."""
    if isinstance(score, AdditiveScore):
        return score.v @ torch.tanh(score.W.weight @ q + score.U.weight @ k)
    if isinstance(score, NormedScore):
        return score.g * (score.v / score.v.norm()) @ torch.tanh(score.W.weight @ q + score.U.weight @ k + score.b)
    if isinstance(score, ConcatScore):
        return score.v @ torch.tanh(score.W.weight @ torch.cat([q, k]))
    if isinstance(score, CosineScore):
        return (1.0 if score.g is None else score.g) * (q @ k) / (q.norm() * k.norm())
    if isinstance(score, GeneralScore):
        return q @ score.W.weight @ k
    if isinstance(score, DotScore | ScaledDotScore):
        return q @ k / (len(q) ** 0.5 if isinstance(score, ScaledDotScore) else 1)
    raise ValueError(f"no formula is written down for {type(score).__name__}: add it to score_of")


def maxout_words(readout: MaxoutReadout, state: Tensor, word: Tensor, context: Tensor) -> Tensor:
    """t_k = max(t'_2k-1, t'_2k), then one product: (V,)."""
    features = readout.features(torch.cat([state, word, context]))
    return readout.words(torch.stack([torch.maximum(features[k], features[k + 1]) for k in range(0, len(features), 2)]))


# --- the Transformer's parts, one vector at a time --------------------------------------------------------------------

def with_positions(model: Transformer, words: Tensor) -> list[Tensor]:
    """sqrt(D) times the word's vector, plus the vector of its place."""
    d, kind = words.shape[1], model.hparams["positions"]
    vectors = []
    for p, word in enumerate(words):
        angles = [p / 10_000 ** (2 * i / d) for i in range(d // 2)]
        sines, cosines = [math.sin(a) for a in angles], [math.cos(a) for a in angles]
        place = {
            "sinusoidal": [f for pair in zip(sines, cosines, strict=True) for f in pair],
            "sinusoidal_halves": sines + cosines,
        }.get(kind, model.positions.table[p] if kind == "learned" else [0.0] * d)
        vectors.append(word * math.sqrt(d) + torch.as_tensor(place, dtype=words.dtype))
    return vectors


def encoder_block(block: EncoderBlock, x: list[Tensor]) -> list[Tensor]:
    first, second = block.residuals
    read = [before(first, v) for v in x]
    changes, _ = heads(block.attention, read, read)
    x = [after(first, v, change) for v, change in zip(x, changes, strict=True)]
    return [after(second, v, fed(block, before(second, v))) for v in x]


def decoder_block(block: DecoderBlock, y: list[Tensor], encoded: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    first, second, third = block.residuals
    read = [before(first, v) for v in y]
    own = [heads(block.self_attention, read[: t + 1], read[: t + 1])[0][t] for t in range(len(y))]    # no later word
    y = [after(first, v, change) for v, change in zip(y, own, strict=True)]
    crossed, weights = heads(block.cross_attention, [before(second, v) for v in y], encoded)
    y = [after(second, v, change) for v, change in zip(y, crossed, strict=True)]
    return [after(third, v, fed(block, before(third, v))) for v in y], weights


def before(residual: Residual, v: Tensor) -> Tensor:
    return residual.norm(v) if residual.pre else v


def after(residual: Residual, v: Tensor, change: Tensor) -> Tensor:
    return v + change if residual.pre else residual.norm(v + change)


def fed(block: EncoderBlock | DecoderBlock, v: Tensor) -> Tensor:
    inner, outer = block.feed_forward.inner, block.feed_forward.outer
    return outer.weight @ (inner.weight @ v + inner.bias).clamp(min=0) + outer.bias


def heads(layer: MultiHeadAttention, asking: list[Tensor], asked: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """For each query: W_O of the heads' contexts side by side (D,), and the heads' weights (H, S)."""
    outputs, maps, d, plug = [], [], layer.d_head, layer.plug
    for i, x in enumerate(asking):
        contexts, rows = [], []
        for head in range(layer.n_heads):
            q = projected(layer, 0, head, x, i)
            exponentials, values = [], []
            for j, z in enumerate(asked):
                k, v, score = projected(layer, 1, head, z, j), projected(layer, 2, head, z, j), None
                if isinstance(plug, RelativeAttention):
                    row = max(-plug.max_distance, min(plug.max_distance, j - i)) + plug.max_distance
                    score, v = q @ (k + plug.key_table[row]) / d**0.5, v + plug.value_table[row]
                elif isinstance(plug, AlibiAttention):
                    score = q @ k / d**0.5 - 2 ** (-8 * (head + 1) / layer.n_heads) * abs(i - j)
                exponentials.append(torch.exp(score_of(plug.score, q, k) if score is None else score))
                values.append(v)
            a = torch.stack(exponentials) / sum(exponentials)
            contexts.append(sum(a_j * v_j for a_j, v_j in zip(a, values, strict=True)))
            rows.append(a)
        outputs.append(layer.out_proj.weight @ torch.cat(contexts) + layer.out_proj.bias)
        maps.append(torch.stack(rows))
    return outputs, maps


def projected(layer: MultiHeadAttention, which: int, head: int, x: Tensor, place: int) -> Tensor:
    """Head `head` of W_Q x, W_K x or W_V x (`which` 0, 1, 2); with rotary positions q and k are turned: (d,)."""
    d, start = layer.d_head, which * layer.d_model + head * layer.d_head
    out = layer.in_proj.weight[start : start + d] @ x + layer.in_proj.bias[start : start + d]
    if layer.rotary is None or which == 2:
        return out
    turned = torch.view_as_complex(out.view(-1, 2)) * torch.polar(
        torch.ones(d // 2, dtype=out.dtype), place * 10_000.0 ** (-2 * torch.arange(d // 2, dtype=out.dtype) / d)
    )
    return torch.view_as_real(turned).flatten()
