"""Models broken on purpose, one fault each, and the proof that must notice it. Used by test_proofs.py.

Among them are faults of famous courses, rebuilt for our contract: `origin` says whose.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from course_utils.attention.dense import DenseAttention
from course_utils.attention.scores import GeneralScore, ScaledDotScore
from course_utils.attention.socket import masked_softmax
from course_utils.layers.convolution import Convolution, GatedBlock
from course_utils.layers.recurrent import RecurrentState
from course_utils.proofs.models import loss_pad_invariance
from course_utils.proofs.tools import SIZES
from course_utils.seq2seq.attentive import AttentiveSeq2Seq, AttentiveState
from course_utils.seq2seq.bahdanau import BahdanauSeq2Seq
from course_utils.seq2seq.contract import Seq2Seq
from course_utils.seq2seq.convolutional import ConvolutionalSeq2Seq
from course_utils.seq2seq.fixed_context import FixedContextSeq2Seq, FixedMemory
from course_utils.text.vocabulary import PAD

WIDTHS = dict(**SIZES, d_embedding=5, d_hidden=8)


class Attentive(AttentiveSeq2Seq):
    """An attentive model with places to break it: states, query and tokens of the decoder."""

    def __init__(self, **hparams):
        super().__init__(**{**WIDTHS, **hparams})

    def _decode(self, tokens, state, memory, need_weights):
        embedded = self.embed(tokens, state)
        states, recurrent = self.decoder(embedded, state.recurrent)
        states = self.change(states)
        context, weights, carried = self.attention(
            self.query(states), memory.annotations, memory.annotations, key_mask=memory.mask,
            need_weights=need_weights, state=state.attention,
        )
        logits = self.output(torch.tanh(self.combine(torch.cat([states, self.contexts(context)], -1))))
        return logits, weights, AttentiveState(recurrent, carried, state.position + tokens.shape[1])

    def embed(self, tokens, state):
        return self.target_embedding(tokens)

    def change(self, states):
        return states

    def query(self, states):
        return states

    def contexts(self, context):
        return context


class FutureInEvaluation(Attentive):
    def change(self, states):                            # d2l's decoder block masks `if self.training`
        return states if self.training else states + 0.1 * states.mean(1, keepdim=True)


class FutureInTraining(Attentive):
    def change(self, states):
        return states + 0.1 * states.mean(1, keepdim=True) if self.training else states


class TinyFuture(Attentive):
    def change(self, states):                            # performer-pytorch's key stabiliser: a max over all places
        return states / (1 + 1e-6 * states.amax(1, keepdim=True))


class NextStateAsks(Attentive):
    def query(self, states):
        return torch.cat([states[:, 1:], states[:, -1:]], 1)


class ReadsTheAnswer(Attentive):
    def forward(self, source, target_in, need_weights=False):
        return super().forward(source, torch.cat([target_in[:, 1:], target_in[:, -1:]], 1), need_weights)


class ReadsLate(Attentive):
    def forward(self, source, target_in, need_weights=False):
        return super().forward(source, torch.cat([target_in[:, :1], target_in[:, :-1]], 1), need_weights)


class Positioned(Attentive):
    """Correct: an embedding of the position beside that of the word."""

    def __init__(self, **hparams):
        super().__init__(**hparams)
        self.places = nn.Embedding(20, 5)

    def embed(self, tokens, state):
        places = self.first(state) + torch.arange(tokens.shape[1])
        return self.target_embedding(tokens) + self.places(places)

    def first(self, state):
        return state.position[0]


class PositionAlwaysZero(Positioned):
    def first(self, state):                              # d2l's predict_step: every generated token stands at place 0
        return 0


class LoosePositions(Attentive):
    def __init__(self, **hparams):
        super().__init__(**hparams)
        self.P = torch.sin(torch.arange(100, dtype=torch.float64)).view(20, 5)    # d2l's P is no buffer

    def embed(self, tokens, state):
        return self.target_embedding(tokens) + self.P[state.position[0] + torch.arange(tokens.shape[1])]


class ForgetsState(Attentive):
    def step(self, token, state, memory):
        return super().step(token, self.start(memory), memory)


class StepShiftsMap(Attentive):
    def step(self, token, state, memory):
        logits, state, weights = super().step(token, state, memory)
        return logits, state, weights.roll(1, -1)


class Unpacked(FixedContextSeq2Seq):
    def encode(self, source):                            # d2l's Seq2SeqEncoder
        _, final = self.encoder(self.source_embedding(source))
        return FixedMemory(final.hidden[:, -1], final)


class LearnsPad(Unpacked):
    def __init__(self, **hparams):
        super().__init__(**hparams)
        self.source_embedding = nn.Embedding(SIZES["source_size"], WIDTHS["d_embedding"])


class ReversesPads(FixedContextSeq2Seq):
    def encode(self, source):
        lengths = (source != PAD).sum(1)
        _, final = self.encoder(self.source_embedding(source.flip(1)), lengths=lengths)
        return FixedMemory(final.hidden[:, -1], final)


class MaskDroppedInLayerTwo(Attentive):
    """Two layers of self-attention over the annotations; only the first is told of the pads (UvA's maps)."""

    def __init__(self, **hparams):
        super().__init__(**hparams)
        self.layers = nn.ModuleList(DenseAttention(ScaledDotScore()) for _ in range(2))

    def encode(self, source):
        memory = super().encode(source)
        x = memory.annotations
        for mask, layer in zip(self.masks(memory.mask), self.layers, strict=True):
            x = x + layer(x, x, x, key_mask=mask)[0]
        return memory._replace(annotations=x)

    def masks(self, mask):
        return mask, None


class MaskedInBothLayers(MaskDroppedInLayerTwo):
    """The same without the fault."""

    def masks(self, mask):
        return mask, mask


class AttendsToPads(Attentive):
    def encode(self, source):                            # bentrevett's notebook 3
        memory = super().encode(source)
        return memory._replace(mask=torch.ones_like(memory.mask))


class OverQueries(DenseAttention):
    def forward(self, query, key, value, *, key_mask=None, need_weights=False, state=None, **others):
        scores = self.score(query, key).masked_fill(~key_mask.unsqueeze(1), -1e9)
        weights = scores.softmax(-2) * key_mask.unsqueeze(1)
        return weights @ value, weights, None


class OverEverything(DenseAttention):
    def forward(self, query, key, value, *, key_mask=None, need_weights=False, state=None, **others):
        allowed = key_mask.unsqueeze(1).expand(-1, query.shape[1], -1)
        weights = masked_softmax(self.score(query, key).flatten(1), allowed.flatten(1)).view(allowed.shape)
        return weights @ value, weights, None


class Hardest(DenseAttention):
    def forward(self, query, key, value, *, key_mask=None, need_weights=False, state=None, **others):
        best = self.score(query, key).masked_fill(~key_mask.unsqueeze(1), -torch.inf).argmax(-1)
        weights = F.one_hot(best, key.shape[1]).to(value)
        return weights @ value, weights, None


class MixesRows(Attentive):
    def contexts(self, context):
        return context + 0.01 * context.mean(0, keepdim=True)


class BatchNormed(Attentive):
    def __init__(self, **hparams):
        super().__init__(**hparams)
        self.norm = nn.BatchNorm1d(8)

    def change(self, states):
        return self.norm(states.transpose(1, 2)).transpose(1, 2)


class DetachedEncoder(Attentive):
    def encode(self, source):
        memory = super().encode(source)
        return memory._replace(annotations=memory.annotations.detach(),
                               initial=RecurrentState(memory.initial.hidden.detach()))


class DetachedAnnotations(Attentive):
    def encode(self, source):                            # some gradient still comes, through the first state
        memory = super().encode(source)
        return memory._replace(annotations=memory.annotations.detach())


class BagOfWords(Attentive):
    def encode(self, source):
        memory = super().encode(source.sort(1, descending=True).values)
        return memory


class LayersFirst(FixedContextSeq2Seq):
    """Keeps states as torch gives them, (L, B, H): a beam would reorder layers."""

    def start(self, memory):
        return RecurrentState(memory.initial.hidden.transpose(0, 1))

    def step(self, token, state, memory):
        logits, state, _ = super().step(token, RecurrentState(state.hidden.transpose(0, 1)), memory)
        return logits, RecurrentState(state.hidden.transpose(0, 1)), None


class KeepsMemory(Attentive):
    """Decodes over the memory of the last `encode`, whatever it is given."""

    def encode(self, source):
        self.kept = [super().encode(source)]
        return self.kept[0]

    def step(self, token, state, memory):
        same_batch = len(memory.mask) == len(self.kept[0].mask)
        return super().step(token, state, self.kept[0] if same_batch else memory)


class ReordersBackwards(FixedContextSeq2Seq):
    """Its state goes from the last row to the first: a consistent model, but rows taken are others' rows."""

    def start(self, memory):
        return RecurrentState(memory.initial.hidden.flip(0))

    def step(self, token, state, memory):
        logits, state, _ = super().step(token, RecurrentState(state.hidden.flip(0)), memory)
        return logits, RecurrentState(state.hidden.flip(0)), None


class ForgetsToSay(FixedContextSeq2Seq):
    def __init__(self, **hparams):
        super().__init__(**hparams)
        self.hparams["reverse_source"] = False


class NextStateAsksBahdanau(BahdanauSeq2Seq):
    def _look_and_move(self, embedded, state, memory, need_weights):
        moved = self.cell(F.pad(embedded, (0, 2 * self.cell.hidden_size)), state.hidden)
        return super()._look_and_move(embedded, state._replace(hidden=moved), memory, need_weights)


class ForwardStateStarts(BahdanauSeq2Seq):
    def start(self, memory):                             # h→_1 instead of h←_1
        flipped = memory.annotations.roll(self.cell.hidden_size, -1)
        return super().start(memory._replace(annotations=flipped))


class ContextOnlyAtStart(FixedContextSeq2Seq):
    def encode(self, source):                            # Cho's form without C at every step
        memory = super().encode(source)
        return memory._replace(context=torch.zeros_like(memory.context))


class Convolutional(ConvolutionalSeq2Seq):
    """Two and two layers; `broken` takes the place of the class of each decoder layer's convolution or block."""

    broken = None

    def __init__(self, **hparams):
        super().__init__(**{**SIZES, "d_embedding": 5, "d_hidden": 6, "n_encoder": 2, "n_decoder": 2, **hparams})
        for layer in self.decoder if self.broken is not None else ():
            part = layer.block if issubclass(self.broken, GatedBlock) else layer.block.convolution
            part.__class__ = self.broken


class SamePadding(Convolution):
    def step(self, x, before):                           # padding="same" in a decoder
        return self._slide(F.pad(x, (0, 0, self.reach // 2, self.reach // 2))), before


class FilledWithPad(Convolution):
    def start(self, n_rows):                             # the pad's index, 1.0 there, as a hidden state
        return super().start(n_rows) + 1.0


class KeepsNothing(Convolution):
    def step(self, x, before):
        return super().step(x, before)[0], self.start(len(x))


class KeepsTheFirst(Convolution):
    def step(self, x, before):
        return super().step(x, before)[0], torch.cat([before, x], 1)[:, : self.reach]


class GateFirst(GatedBlock):
    def step(self, h, before):                           # A is the gate of B
        wide, before = self.convolution.step(self.dropout(h), before)
        return F.glu(wide.roll(wide.shape[-1] // 2, -1), -1), before


def with_convolution(kind):
    return type("Broken", (Convolutional,), {"broken": kind})


class ConvolvesOverPads(Convolutional):
    def encode(self, source):
        memory = super().encode(source)
        e = self._embedded(self.source_embedding, self.source_positions, source, torch.arange(source.shape[1]))
        z = self.encoder_in(e)
        for block in self.encoder:
            z = block(z)
        return memory._replace(keys=self.encoder_out(z))


class ChangesMemory(Convolutional):
    """A place to change what the encoder hands over."""

    def encode(self, source):
        memory = super().encode(source)
        return self.change(memory, memory.mask.sum(1)[:, None, None])


class CountsPadsInM(ChangesMemory):
    def change(self, memory, m):
        return memory._replace(values=memory.values * (memory.mask.shape[1] / m).sqrt())


class SingleM(ChangesMemory):
    def change(self, memory, m):                         # our own first version: the root of a whole number is float32
        return memory._replace(values=memory.values * (m.sqrt().double() / m.double().sqrt()))


class ValuesAreKeys(ChangesMemory):
    def change(self, memory, m):
        return memory._replace(values=memory.keys)


class DividesGradient(ChangesMemory):
    def change(self, memory, m):                         # right forward, and the encoder learns half as fast
        return memory._replace(keys=memory.keys / 2 + memory.keys.detach() / 2,
                               values=memory.values / 2 + memory.values.detach() / 2)


class ConvolutionalAtPlaceZero(Convolutional):
    def step(self, token, state, memory):
        return super().step(token, state._replace(position=0 * state.position), memory)


class ShowsTheLastLayer(Convolutional):
    def _decode(self, *arguments, **named):
        logits, state, maps = super()._decode(*arguments, **named)
        return logits, state, maps[-1:]


def counts_pads(logits, target_out):
    """The PyTorch tutorial's loss: no ignore_index."""
    return F.cross_entropy(logits.flatten(0, 1), target_out.flatten())


def mean_of_means(logits, target_out):
    """The mean over rows of each row's mean over all its places, pads as zeros."""
    return F.cross_entropy(logits.transpose(1, 2), target_out, ignore_index=PAD, reduction="none").mean()


class Mutant(NamedTuple):
    build: Callable[[], Seq2Seq]
    caught_by: str                                       # name of the proof
    says: str                                            # part of its sentence
    modes: str = "both"                                  # "evaluation", "training" or "both": where it is caught
    origin: str = ""
    proof: Callable[[Seq2Seq], None] | None = None       # where the fault is not in the model


_bahdanau = dict(**SIZES, d_embedding=5, d_hidden=6, d_attention=7, d_readout=4)
_reversed = dict(**WIDTHS, reverse_source=True)

MUTANTS: dict[str, Mutant] = {
    "sees the future in evaluation mode only": Mutant(
        FutureInEvaluation, "future_leak", "logits before it moved", "evaluation", "d2l TransformerDecoderBlock"),
    "sees the future in training mode only": Mutant(FutureInTraining, "future_leak", "logits before", "training"),
    "computes otherwise in training": Mutant(FutureInTraining, "modes_agree", "training and evaluation mode differ"),
    "depends on the future by a millionth": Mutant(
        TinyFuture, "future_leak", "logits before it moved", origin="performer-pytorch, causal key stabiliser"),
    "asks with the next state": Mutant(NextStateAsks, "future_leak", "logits before it moved"),
    "reads the word it must say": Mutant(ReadsTheAnswer, "future_leak", "logits before it moved"),
    "reads every word one step late": Mutant(ReadsLate, "every_word_counts", "target_in[:, 1] was changed"),
    "does not know the order of the source": Mutant(BagOfWords, "every_word_counts", "were swapped"),
    "forgets its position when decoding": Mutant(
        PositionAlwaysZero, "parallel_equals_steps", "step by step differs", origin="d2l predict_step"),
    "forgets its state when decoding": Mutant(ForgetsState, "parallel_equals_steps", "step by step differs"),
    "shows a shifted map when decoding": Mutant(StepShiftsMap, "parallel_equals_steps", "attention step by step"),
    "encoder runs over pads": Mutant(
        partial(Unpacked, **WIDTHS), "pad_invariance", "pads were added", origin="d2l Seq2SeqEncoder"),
    "reverses the pads too": Mutant(partial(ReversesPads, **_reversed), "pad_invariance", "pads were added"),
    "drops the mask between layers": Mutant(
        MaskDroppedInLayerTwo, "pad_invariance", "logits moved", origin="UvA get_attention_maps"),
    "learns a vector for PAD": Mutant(partial(LearnsPad, **WIDTHS), "gradient_flow", "embedding of PAD gets"),
    "attends to pads": Mutant(AttendsToPads, "attention_rows", "pads are attended to", origin="bentrevett notebook 3"),
    "loss counts pads": Mutant(
        Attentive, "loss_pad_invariance", "the loss moved", origin="PyTorch seq2seq tutorial",
        proof=partial(loss_pad_invariance, loss=counts_pads)),
    "loss averages over pads": Mutant(
        Attentive, "loss_pad_invariance", "the loss moved", proof=partial(loss_pad_invariance, loss=mean_of_means)),
    "softmax over queries": Mutant(
        lambda: Attentive(attention=OverQueries(GeneralScore(8, 8))), "attention_rows", "do not sum to 1"),
    "softmax over queries and keys": Mutant(
        lambda: Attentive(attention=OverEverything(GeneralScore(8, 8))), "attention_rows", "do not sum to 1"),
    "softmax over queries leaks": Mutant(
        lambda: Attentive(attention=OverQueries(GeneralScore(8, 8))), "future_leak", "moved"),
    "mixes the rows of a batch": Mutant(MixesRows, "batch_independence", "neighbours were changed"),
    "batch norm over the batch": Mutant(BatchNormed, "batch_independence", "it moved", "training"),
    "cuts the encoder off": Mutant(DetachedEncoder, "gradient_flow", "no gradient reaches source_embedding"),
    "chooses by argmax": Mutant(
        lambda: Attentive(attention=Hardest(GeneralScore(8, 8))), "gradient_flow", "no gradient reaches attention"),
    "cuts the annotations off": Mutant(DetachedAnnotations, "gradient_truth", "the loss moves by"),
    "keeps layers before rows": Mutant(
        partial(LayersFirst, **WIDTHS, n_layers=2), "rows_can_be_taken", "rows first"),
    "keeps rows in another order": Mutant(partial(ReordersBackwards, **WIDTHS), "rows_can_be_taken", "another row's"),
    "keeps its memory to itself": Mutant(KeepsMemory, "nothing_on_the_side", "disturb each other"),
    "keeps positions outside the state_dict": Mutant(
        LoosePositions, "survives_saving", "use register_buffer", origin="d2l PositionalEncoding"),
    "does not say that it reverses": Mutant(partial(ForgetsToSay, **_reversed), "survives_saving", "rebuilt from"),
    "Bahdanau with the next state": Mutant(
        partial(NextStateAsksBahdanau, **_bahdanau), "torch_equivalence", "differ from plain torch cells"),
    "Bahdanau from the forward state": Mutant(
        partial(ForwardStateStarts, **_bahdanau), "torch_equivalence", "differ from plain torch cells"),
    "Cho without C at every step": Mutant(
        partial(ContextOnlyAtStart, **WIDTHS, context="every_step"), "torch_equivalence", "differ from plain torch"),
    "decoder's windows are centred": Mutant(
        with_convolution(SamePadding), "future_leak", "logits before it moved", origin='common: padding="same"'),
    "zeros before the first word are ones": Mutant(
        with_convolution(FilledWithPad), "torch_equivalence", "logits differ", origin="bentrevett notebook 5"),
    "keeps no window when decoding": Mutant(
        with_convolution(KeepsNothing), "parallel_equals_steps", "step by step differs"),
    "keeps the oldest words of a window": Mutant(
        with_convolution(KeepsTheFirst), "parallel_equals_steps", "step by step differs"),
    "gates the wrong half": Mutant(with_convolution(GateFirst), "torch_equivalence", "logits differ"),
    "convolves over pads": Mutant(
        ConvolvesOverPads, "pad_invariance", "pads were added", origin="bentrevett notebook 5"),
    "counts pads in √m": Mutant(CountsPadsInM, "pad_invariance", "logits moved"),
    "takes √m in float32": Mutant(SingleM, "torch_equivalence", "logits differ"),
    "values without the words": Mutant(ValuesAreKeys, "torch_equivalence", "logits differ"),
    "divides the encoder's gradient": Mutant(
        DividesGradient, "gradient_truth", "the loss moves by", origin="fairseq fconv, GradMultiply"),
    "ConvS2S forgets its position when decoding": Mutant(
        ConvolutionalAtPlaceZero, "parallel_equals_steps", "step by step differs", origin="d2l predict_step"),
    "shows the last layer's map only": Mutant(
        ShowsTheLastLayer, "torch_equivalence", "the map differs", origin="bentrevett notebook 5"),
}

SOUND: dict[str, Callable[[], Seq2Seq]] = {              # the mutants' bodies without the faults
    "attentive": Attentive, "with positions": Positioned, "two masked layers": MaskedInBothLayers,
    "convolutional": Convolutional,
}
