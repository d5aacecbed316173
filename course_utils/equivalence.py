"""The models again, written as the papers write them: one sentence, one word, one cell at a time. Notebooks 06 and 07.

`reference(model, source, target_in)` copies the model's weights into plain `nn.GRUCell`/`nn.LSTMCell` and follows the
equations with Python loops: no batch, no pads, no packing, no kernel over time, no attention socket. Slow, and easy to
read beside the paper. `torch_equivalence` is the proof that model and equations agree.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from course_utils.layers.attention import DenseAttention
from course_utils.layers.readout import MaxoutReadout
from course_utils.layers.scores import AdditiveScore, DotScore, GeneralScore, ScaledDotScore, Score
from course_utils.models.attentive import AttentiveSeq2Seq
from course_utils.models.bahdanau import BahdanauSeq2Seq
from course_utils.models.fixed_context import FixedContextSeq2Seq
from course_utils.models.seq2seq import Seq2Seq
from course_utils.proof_tools import run, same, sample
from course_utils.text import PAD

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
    """Luong et al. 2015, eq. 5-8, with a bidirectional encoder."""
    annotations, final = both_ways(model.encoder.rnn, x)
    cells, states = stacked(model.decoder.rnn), [final]
    logits, weights = [], []
    for word in y:
        h, states = advance(cells, word, states)
        a = attend(model.attention, h, annotations)
        context = sum(a_j * h_j for a_j, h_j in zip(a, annotations, strict=True))
        logits.append(model.output(torch.tanh(model.combine(torch.cat([h, context])))))
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


REFERENCES: dict[type, Callable[..., tuple[list[Tensor], list[Tensor]]]] = {
    FixedContextSeq2Seq: fixed_context, AttentiveSeq2Seq: attentive, BahdanauSeq2Seq: bahdanau,
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
    if isinstance(score, GeneralScore):
        return q @ score.W.weight @ k
    if isinstance(score, DotScore | ScaledDotScore):
        return q @ k / (len(q) ** 0.5 if isinstance(score, ScaledDotScore) else 1)
    raise ValueError(f"no formula is written down for {type(score).__name__}: add it to score_of")


def maxout_words(readout: MaxoutReadout, state: Tensor, word: Tensor, context: Tensor) -> Tensor:
    """t_k = max(t'_2k-1, t'_2k), then one product: (V,)."""
    features = readout.features(torch.cat([state, word, context]))
    return readout.words(torch.stack([torch.maximum(features[k], features[k + 1]) for k in range(0, len(features), 2)]))
