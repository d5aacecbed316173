"""Proofs that a model keeps the sequence-to-sequence contract, for every model of the course. From notebook 06 on.

A proof is a function of a model that returns None, or raises `ProofFailed` with one sentence. It disturbs something
that must not matter (a future word, a pad, a neighbour) or must matter (the word just read, the order of the source)
and compares in float64. `prove(model)` runs all of them in evaluation and in training mode; `tests/mutants.py` breaks
models on purpose, to show that each proof can fail.

A new model is one line in MODELS. Where a proof cannot hold, the reason stands in DOES_NOT_APPLY.
"""

import copy
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from course_utils.proofs.equivalence import torch_equivalence
from course_utils.proofs.tools import (
    FIRST_WORD,
    SIZES,
    ProofFailed,
    Sample,
    batch_first,
    differ,
    more_pads,
    moves,
    other_words,
    refuse_unfit,
    run,
    same,
    sample,
    seeded,
    step,
    tables,
    walk,
    zero,
)
from course_utils.seq2seq.attentive import AttentiveSeq2Seq
from course_utils.seq2seq.bahdanau import BahdanauSeq2Seq
from course_utils.seq2seq.contract import Seq2Seq, take_rows
from course_utils.seq2seq.convolutional import POSITIONS as TOLD
from course_utils.seq2seq.convolutional import ConvolutionalSeq2Seq
from course_utils.seq2seq.decoding import keeping_modes
from course_utils.seq2seq.fixed_context import FixedContextSeq2Seq
from course_utils.seq2seq.transformer import POSITIONS, Transformer
from course_utils.text.masks import padding_mask
from course_utils.text.vocabulary import PAD
from course_utils.training import token_loss

# --- what must not matter ---------------------------------------------------------------------------------------------

@torch.no_grad()
def future_leak(model: Seq2Seq) -> None:
    """Logits and attention at place i depend on target_in up to i only: later words are changed, then cut off."""
    batch = sample()
    logits, attention = run(model, batch.source, batch.target_in)
    for t in range(1, batch.target_in.shape[1]):
        changed = batch.target_in.clone()
        changed[:, t:] = other_words(changed[:, t:], SIZES["target_size"])
        for how, target_in in (("changed", changed), ("cut off", changed[:, :t])):
            new_logits, new_attention = run(model, batch.source, target_in)
            same(new_logits[:, :t], logits[:, :t], f"target words from place {t} on were {how}: logits before it moved")
            if attention is not None:
                same(new_attention[:, :t], attention[:, :t], f"target words from place {t} on were {how}: maps moved")


@torch.no_grad()
def pad_invariance(model: Seq2Seq) -> None:
    """More pads, or other numbers in the embedding of PAD, change nothing on real words; the pads' weights are 0."""
    batch = sample()
    real = padding_mask(batch.target_out)                                                     # (B, T)
    logits, attention = run(model, batch.source, batch.target_in)
    source, target_in = more_pads(batch.source, 3), more_pads(batch.target_in, 2)
    padded, padded_attention = run(model, source, target_in)
    same(padded[:, :-2][real], logits[real], "3 pads were added to the source, 2 to the target: logits moved")
    if attention is not None:
        same(padded_attention[:, :-2, :-3][real], attention[real], "pads were added: attention maps moved")
        zero(padded_attention[:, :-2, -3:][real], "pads added to the source are attended to")
    noisy = copy.deepcopy(model)
    for table in tables(noisy):
        table.weight[PAD] = torch.linspace(-2, 3, table.embedding_dim).to(table.weight)
    same(run(noisy, source, target_in)[0][:, :-2][real], logits[real], "the embedding of PAD was changed: logits moved")


@torch.no_grad()
def loss_pad_invariance(model: Seq2Seq, loss: Callable[[Tensor, Tensor], Tensor] = token_loss) -> None:
    """Pads added to the target change the training loss by nothing."""
    batch = sample()
    short = loss(run(model, batch.source, batch.target_in)[0], batch.target_out)
    long = loss(run(model, batch.source, more_pads(batch.target_in, 4))[0], more_pads(batch.target_out, 4))
    same(long, short, "4 pads were added to the target: the loss moved")


@torch.no_grad()
def batch_independence(model: Seq2Seq) -> None:
    """A row's numbers are the same with other neighbours, in another order, and alone."""
    batch = sample()
    logits, attention = run(model, batch.source, batch.target_in)
    order = torch.tensor([2, 0, 3, 1])
    same(run(model, batch.source[order], batch.target_in[order])[0], logits[order], "rows were reordered: logits moved")
    for row in range(len(logits)):
        source = other_words(batch.source, SIZES["source_size"])
        target_in = other_words(batch.target_in, SIZES["target_size"])
        source[row], target_in[row] = batch.source[row], batch.target_in[row]
        same(run(model, source, target_in)[0][row], logits[row], f"row {row}'s neighbours were changed: it moved")
        alone, alone_attention = run(model, batch.source[row : row + 1], batch.target_in[row : row + 1])
        same(alone[0], logits[row], f"row {row} alone differs from itself in a batch")
        if attention is not None:
            same(alone_attention[0], attention[row], f"row {row}'s map alone differs from its map in a batch")


@torch.no_grad()
def modes_agree(model: Seq2Seq) -> None:
    """With dropout 0, training and evaluation mode compute the same."""
    batch = sample()
    with keeping_modes(model):
        trained = run(model.train(), batch.source, batch.target_in)[0]
        evaluated = run(model.eval(), batch.source, batch.target_in)[0]
    same(evaluated, trained, "training and evaluation mode differ although dropout is 0")


# --- what must matter -------------------------------------------------------------------------------------------------

@torch.no_grad()
def every_word_counts(model: Seq2Seq) -> None:
    """The word just read moves the logits at its own place; every source word and the source's order move some."""
    batch = sample()
    logits, _ = run(model, batch.source, batch.target_in)
    for t in range(batch.target_in.shape[1]):
        changed = batch.target_in.clone()
        changed[:, t] = other_words(changed[:, t], SIZES["target_size"])
        moved, _ = run(model, batch.source, changed)
        differ(moved[:, t], logits[:, t], f"target_in[:, {t}] was changed, the logits at its place stayed")
    for s in range(batch.source.shape[1]):
        changed, rows = batch.source.clone(), batch.source[:, s] != PAD
        changed[rows, s] = other_words(changed[rows, s], SIZES["source_size"])
        moved, _ = run(model, changed, batch.target_in)
        differ(moved[rows], logits[rows], f"source word {s} was changed, the logits stayed")
    swapped, rows = batch.source.clone(), (batch.source[:, 1] != PAD) & (batch.source[:, 0] != batch.source[:, 1])
    swapped[rows, :2] = swapped[rows, :2].flip(1)
    moved, _ = run(model, swapped, batch.target_in)
    differ(moved[rows], logits[rows], "two source words were swapped, the logits stayed")


NO_GRADIENT: dict[str, str] = {                          # ending of a parameter's name -> why it gets none
    "key_bias": "adds the same to all scores of a query, which softmax takes away again",
}


def gradient_flow(model: Seq2Seq) -> None:
    """Every parameter gets a gradient (but for NO_GRADIENT), every word of the batch too; PAD's embedding none."""
    batch, model = sample(), copy.deepcopy(model)
    token_loss(run(model, batch.source, batch.target_in)[0], batch.target_out).backward()
    for name, parameter in model.named_parameters():
        size = 0.0 if parameter.grad is None else float(parameter.grad.abs().max())
        if not size < float("inf"):
            raise ProofFailed(f"the gradient of {name} is not finite")
        if (size > 1e-12) == name.endswith(tuple(NO_GRADIENT)):
            raise ProofFailed(f"no gradient reaches {name}" if size <= 1e-12 else f"{name} has one despite NO_GRADIENT")
    for table in tables(model):
        zero(table.weight.grad[PAD], "the embedding of PAD gets a gradient")
        ids = batch.source if table.num_embeddings == SIZES["source_size"] else batch.target_in
        read = table.weight.grad[ids[ids >= FIRST_WORD]].abs().amax(1)
        if not float(read.min()) > 0:
            raise ProofFailed("a word of the batch gets no gradient in its embedding")


TOGETHER = 5  # parameters moved at once; a wrong slope far below the others' would be lost among many


def gradient_truth(model: Seq2Seq) -> None:
    """Along a random direction of each parameter its gradient foretells how the loss moves: nothing was cut off. Some
    parameters are moved together, and one by one only where the sum is not right."""
    batch, model = sample(), copy.deepcopy(model)

    def loss() -> Tensor:
        return token_loss(run(model, batch.source, batch.target_in)[0], batch.target_out)

    loss().backward()
    pads, generator = [table.weight for table in tables(model)], torch.Generator().manual_seed(1)
    ways = []  # (name, parameter, direction, what its gradient says)
    for name, parameter in model.named_parameters():
        direction = torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
        if any(parameter is weight for weight in pads):
            direction[PAD] = 0.0                                          # never learnt, by definition
        told = 0.0 if parameter.grad is None else float((parameter.grad * direction).sum())
        ways.append((name, parameter, direction, told))
    for start in range(0, len(ways), TOGETHER):
        some = ways[start : start + TOGETHER]
        if _agree(*_slopes(some, loss)):
            continue
        for group in (*([way] for way in some), some):
            told, seen = _slopes(group, loss)
            if not _agree(told, seen):
                names = ", ".join(name for name, *_ in group)
                raise ProofFailed(f"{names}: the loss moves by {seen:.6g} a step, its gradient says {told:.6g}")


def _slopes(ways: list[tuple[str, Tensor, Tensor, float]], loss: Callable[[], Tensor]) -> tuple[float, float]:
    """What the gradients say of all these ways together, and what the loss does."""
    seen = moves([(parameter, direction) for _, parameter, direction, _ in ways], loss, step=1e-5)
    return sum(slope for *_, slope in ways), seen


def _agree(told: float, seen: float) -> bool:
    return abs(told - seen) <= 1e-8 + 1e-5 * abs(seen)


# --- decoding ---------------------------------------------------------------------------------------------------------

@torch.no_grad()
def parallel_equals_steps(model: Seq2Seq) -> None:
    """forward with the whole target == encode, start and one step a word, in logits and attention."""
    batch = sample()
    logits, attention = run(model, batch.source, batch.target_in)
    plain = seeded(lambda: model(batch.source, batch.target_in))
    same(plain, logits, "logits with need_weights=False differ from those with need_weights=True")
    stepped, maps = walk(model, batch)
    same(stepped, logits, "decoding step by step differs from one call with the whole target")
    if (maps is None) != (attention is None):
        raise ProofFailed("only one of forward and step returns attention")
    if attention is not None:
        same(maps, attention, "attention step by step differs from attention in one call")


@torch.no_grad()
def rows_can_be_taken(model: Seq2Seq) -> None:
    """take_rows on memory and state, as beam search needs it: rows reordered and repeated go on as themselves."""
    batch, rows, half = sample(), torch.tensor([3, 1, 1, 0, 2, 1]), 3
    expected, _ = walk(model, Sample(*(part[rows] for part in batch)))
    memory = seeded(lambda: model.encode(batch.source))
    state = model.start(memory)
    for t in range(half):
        _, state, _ = step(model, batch.target_in[:, t], state, memory)
    batch_first("memory", memory, len(batch.source))
    batch_first("state", state, len(batch.source))
    memory, state = take_rows(memory, rows), take_rows(state, rows)
    for t in range(half, batch.target_in.shape[1]):
        logits, state, _ = step(model, batch.target_in[rows, t], state, memory)
        same(logits, expected[:, t], f"rows were reordered after {half} words: word {t} got another row's logits")


@torch.no_grad()
def nothing_on_the_side(model: Seq2Seq) -> None:
    """All a decoding knows is in memory and state: two decodings in turns do not disturb each other."""
    batches = [sample(0), sample(1)]
    expected = [walk(model, batch)[0] for batch in batches]
    memories = [seeded(lambda b=batch: model.encode(b.source)) for batch in batches]
    states = [model.start(memory) for memory in memories]
    for t in range(batches[0].target_in.shape[1]):
        for i, batch in enumerate(batches):
            logits, states[i], _ = step(model, batch.target_in[:, t], states[i], memories[i])
            same(logits, expected[i][:, t], f"two decodings in turns disturb each other at word {t}")


@torch.no_grad()
def attention_rows(model: Seq2Seq) -> None:
    """Weights are at least 0 and sum to 1 over the source; pads get exactly 0."""
    batch = sample()
    attention = run(model, batch.source, batch.target_in)[1]
    if attention is None:
        raise ProofFailed("this model returns no attention")
    shape = (*batch.target_in.shape, batch.source.shape[1])
    if tuple(attention.shape) != shape:
        raise ProofFailed(f"attention has shape {tuple(attention.shape)}, not (B, T, S) = {shape}")
    if float(attention.min()) < 0:
        raise ProofFailed(f"a weight is negative: {float(attention.min()):.3g}")
    same(attention.sum(-1), torch.ones_like(attention[..., 0]), "weights do not sum to 1 over the source")
    zero(attention.transpose(1, 2)[batch.source == PAD], "pads are attended to")


@torch.no_grad()
def survives_saving(model: Seq2Seq) -> None:
    """A model built from `hparams` and filled from `state_dict` computes the same: no tensor lives outside them."""
    for name, module in model.named_modules():
        loose = [key for key, value in vars(module).items() if isinstance(value, Tensor)]
        if loose:
            raise ProofFailed(f"{name or 'the model'} keeps a tensor in plain attributes {loose}: use register_buffer")
    batch, reborn = sample(), seeded(lambda: type(model)(**model.hparams)).to(next(model.parameters()).dtype)
    reborn.load_state_dict(model.state_dict())
    logits = run(reborn.train(model.training), batch.source, batch.target_in)[0]
    same(logits, run(model, batch.source, batch.target_in)[0], "the model rebuilt from hparams and state_dict differs")


PROOFS: dict[str, Callable[[Seq2Seq], None]] = {
    proof.__name__: proof
    for proof in (
        future_leak, pad_invariance, loss_pad_invariance, batch_independence, modes_agree, every_word_counts,
        gradient_flow, gradient_truth, parallel_equals_steps, rows_can_be_taken, nothing_on_the_side, attention_rows,
        survives_saving, torch_equivalence,
    )
}

_FIXED = dict(**SIZES, d_embedding=5, d_hidden=8)
_TRANSFORMER = dict(**SIZES, d_model=8, n_heads=2, n_layers=2, d_ff=12)
_CONVOLUTIONAL = dict(**SIZES, d_embedding=5, d_hidden=6, n_encoder=2, n_decoder=2, max_length=20)
_BAHDANAU = dict(**SIZES, d_embedding=5, d_hidden=6, d_attention=7, d_readout=4)
MODELS: dict[str, Callable[[], Seq2Seq]] = {             # small ones; every kind of decoder, cell and score
    "Sutskever, GRU": lambda: FixedContextSeq2Seq(**_FIXED),
    "Sutskever, LSTM of 2 layers, reversed": lambda: FixedContextSeq2Seq(
        **_FIXED, cell="lstm", n_layers=2, reverse_source=True
    ),
    "Cho, GRU": lambda: FixedContextSeq2Seq(**_FIXED, context="every_step"),
    "Cho, LSTM of 2 layers": lambda: FixedContextSeq2Seq(**_FIXED, context="every_step", cell="lstm", n_layers=2),
    "Bahdanau": lambda: BahdanauSeq2Seq(**_BAHDANAU),
    "Bahdanau, general score": lambda: BahdanauSeq2Seq(**_BAHDANAU, attention="general"),
    "attentive, GRU, general score": lambda: AttentiveSeq2Seq(**_FIXED),
    "attentive, LSTM, additive score": lambda: AttentiveSeq2Seq(**_FIXED, cell="lstm", attention="additive"),
    "attentive, GRU, dot score": lambda: AttentiveSeq2Seq(**_FIXED, attention="dot"),
    "attentive, GRU, scaled dot score": lambda: AttentiveSeq2Seq(**_FIXED, attention="scaled_dot"),
    "attentive, GRU, input feeding": lambda: AttentiveSeq2Seq(**_FIXED, input_feeding=True),
    "attentive, LSTM, concat score, input feeding": lambda: AttentiveSeq2Seq(
        **_FIXED, cell="lstm", attention="concat", input_feeding=True
    ),
    "attentive, GRU, cosine score": lambda: AttentiveSeq2Seq(**_FIXED, attention="cosine_strength"),
    "Bahdanau, normed score": lambda: BahdanauSeq2Seq(**_BAHDANAU, attention="normed"),
    **{f"Transformer, {name} positions": partial(Transformer, **_TRANSFORMER, positions=name) for name in POSITIONS},
    "Transformer, post-norm": lambda: Transformer(**_TRANSFORMER, norm="post"),
    "Transformer, tied": lambda: Transformer(**_TRANSFORMER, tie="decoder"),
    "Transformer, additive scores": lambda: Transformer(**_TRANSFORMER, attention="additive"),
    **{f"ConvS2S, {name} positions": partial(ConvolutionalSeq2Seq, **_CONVOLUTIONAL, positions=name) for name in TOLD},
    "ConvS2S, width 5, plain weights": lambda: ConvolutionalSeq2Seq(
        **_CONVOLUTIONAL, kernel_size=5, weight_norm=False
    ),
    "ConvS2S, width 1, general score": lambda: ConvolutionalSeq2Seq(
        **_CONVOLUTIONAL, kernel_size=1, attention="general"
    ),
}

_NO_MAP = "a fixed context is one vector: there is nothing to attend to, attention is None"
DOES_NOT_APPLY: dict[tuple[str, str], str] = {           # (proof, model) -> why
    **{("attention_rows", name): _NO_MAP for name in MODELS if name.startswith(("Sutskever", "Cho"))},
    ("every_word_counts", "Transformer, none positions"): "without positions the source is a bag, its order is lost",
}


def build(name: str, seed: int = 0) -> Seq2Seq:
    """A model of MODELS in float64, its weights drawn from `seed`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return MODELS[name]().double()


def prove(model: Seq2Seq, leave_out: tuple[str, ...] = ()) -> None:
    """All proofs, in evaluation and in training mode. For a model of your own: SIZES, dropout 0, `.double()`."""
    with keeping_modes(model):
        for name, proof in PROOFS.items():
            for training in (False, True):
                if name not in leave_out:
                    check(proof, model.train(training))


def check(proof: Callable[[Seq2Seq], None], model: Seq2Seq) -> None:
    """Run one proof on the model as it stands, if it is one that a proof can judge."""
    refuse_unfit(model)
    proof(model)
