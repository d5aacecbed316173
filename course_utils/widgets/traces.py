"""What the players show, computed without widgets: a sentence read, a translation traced, an attention steered.

Everything goes through the sequence-to-sequence contract and the attention socket, so any model that keeps both can be
played; `PLAYS` says in words what its class does at each stage. Notebooks 06 and 07.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from course_utils.attention.scores import AdditiveScore, DotScore, GeneralScore, ScaledDotScore
from course_utils.attention.steering import (
    Edit,
    RecordedAttention,
    SteeredAttention,
    forced,
    gold_weights,
    permuted,
    plugged,
    uniform,
)
from course_utils.corpora.pair import Pair
from course_utils.plots.attention import STAGES, AttentionStep
from course_utils.plots.steering import Steered
from course_utils.plots.translation import Unrolled
from course_utils.seq2seq.attentive import AttentiveSeq2Seq
from course_utils.seq2seq.bahdanau import BahdanauSeq2Seq
from course_utils.seq2seq.decoding import device_of, evaluating, length_cap
from course_utils.seq2seq.fixed_context import FixedContextSeq2Seq
from course_utils.text.batches import Batches
from course_utils.text.vocabulary import BEGIN, END, PAD, Vocabulary, tokenise

LONGEST, LETTERS = 30, 30  # words that fit on a picture, and letters of a word


def read_sentence(
    text: str, vocabulary: Vocabulary, longest: int = LONGEST, full_stop: bool = True
) -> tuple[tuple[str, ...], str]:
    """(tokens, a remark) for what a student typed; the remark names words the model does not know, and what to do.
    `full_stop`: one is added where it lacks (menu entries have none).

    Nothing to read, or too much of it, is a ValueError with one sentence.
    """
    tokens = tokenise(text)
    if not any(any(c.isalnum() for c in token) for token in tokens):
        raise ValueError("There is no word to read: type a sentence, or choose one from the list.")
    if len(tokens) > longest:
        raise ValueError(f"These are {len(tokens)} words, more than the {longest} a picture can show: shorten it.")
    if strange := max(tokens, key=len)[LETTERS:]:
        raise ValueError(f"A word has {LETTERS + len(strange)} letters, more than the {LETTERS} a picture can show.")
    remarks = []
    if full_stop and len(tokens) < longest and tokens[-1] not in (".", "?") and "." in vocabulary:
        tokens += (".",)
        remarks.append("A full stop was added, as every sentence in training ended with one or with a question mark.")
    unknown = vocabulary.unknown(tokens)
    if unknown:
        near = [w for u in unknown for w in get_close_matches(u, vocabulary.words[4:], n=1, cutoff=0.6)]
        remarks.append(
            f"The model does not know {_list(unknown)} and reads <unk> instead; "
            + (f"try {_list(near)}, or " if near else "")
            + "take words from the listed sentences."
        )
    return tokens, " ".join(remarks)


def _list(words: Iterable[str]) -> str:
    words = [f"“{w[:20]}{'…' * (len(w) > 20)}”" for w in dict.fromkeys(words)]
    words = words[:4] + ([f"{len(words) - 4} more"] if len(words) > 4 else [])
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]


def _ids(tokens: Sequence[str], vocabulary: Vocabulary, model: Any) -> Tensor:
    return torch.tensor([vocabulary.encode(tokens)], device=device_of(model))  # (1, S)


def _greedy_steps(model: Any, source: Tensor) -> Iterator[tuple[Tensor, Any, int]]:
    """What `decoding.greedy` does for one sentence, laid open: (probabilities (V,), state after, id chosen) of each
    step, END included."""
    memory = model.encode(source)
    state, token = model.start(memory), torch.full_like(source[:, 0], BEGIN)
    for _ in range(int(length_cap(source))):
        logits, state, _ = model.step(token, state, memory)
        probabilities = logits[0].softmax(-1)
        choosable = logits.clone()
        choosable[:, [PAD, BEGIN]] = -torch.inf
        token = choosable.argmax(-1)
        yield probabilities, state, int(token)
        if int(token) == END:
            return


def _best_words(probabilities: Tensor, vocabulary: Vocabulary, most: int) -> tuple[tuple[str, float], ...]:
    """Words that greedy decoding could choose, the most probable first: neither PAD nor BEGIN."""
    choosable = probabilities.clone()
    choosable[[PAD, BEGIN]] = -1.0
    top = choosable.topk(min(most, len(choosable) - 2))
    return tuple((vocabulary.words[int(i)], float(p)) for p, i in zip(top.values, top.indices, strict=True))


# --- the attentive player ---------------------------------------------------------------------------------------------

SCORES = {
    AdditiveScore: "v · tanh(W {q} + U hⱼ)", DotScore: "{q} · hⱼ", ScaledDotScore: "{q} · hⱼ / √d",
    GeneralScore: "{q} · W hⱼ",
}  # fmt: skip


@dataclass(frozen=True)
class Play:
    """How a class of attentive models names what it does: the query, the vector of stage "state", and the captions."""

    query: str
    asks: str  # what the query is, in words
    state: str
    moves: str  # caption of stage "state"
    speaks: str  # caption of stage "word"
    vector: Callable[[Any, Any, Tensor], Tensor]  # (model, state after the step, input of model.output) -> (D,)


PLAYS: dict[type, Play] = {
    BahdanauSeq2Seq: Play(
        "sᵢ₋₁", "the previous state sᵢ₋₁", "new state sᵢ",
        "The context goes into the cell: sᵢ = GRU(sᵢ₋₁, [yᵢ₋₁; Cᵢ]). It will ask for the next word.",
        "The readout, maxout of sᵢ₋₁, yᵢ₋₁ and Cᵢ, gives every word its probability.",
        lambda model, after, _: after.hidden[0],
    ),
    AttentiveSeq2Seq: Play(
        "sᵢ", "the current state sᵢ = RNN(sᵢ₋₁, yᵢ₋₁)", "tanh(W[sᵢ; Cᵢ])",
        "State and context together: tanh(W [sᵢ; Cᵢ]). The context does not enter the recurrence.",
        "One linear layer and a softmax over it give every word its probability.",
        lambda model, after, attentional: attentional[0, -1],
    ),
}  # fmt: skip


def trace_attention(
    model: Any, tokens: Sequence[str], source_vocab: Vocabulary, target_vocab: Vocabulary, name: str
) -> list[AttentionStep]:
    """The greedy translation of `tokens`, step by step; the last step writes END (or the cap was reached)."""
    play = next((p for kind, p in PLAYS.items() if isinstance(model, kind)), None)
    if play is None:
        raise ValueError(f"{type(model).__name__} has no entry in PLAYS: say there what it does at each stage.")
    recorded, spoken, captions = RecordedAttention(model.attention), [], _captions(play, model.attention)
    hook = None
    if hasattr(model, "output"):
        hook = model.output.register_forward_pre_hook(lambda _, inputs: spoken.append(inputs[0]))
    steps, written = [], []
    try:
        with evaluating(model), plugged(model, recorded):
            for p, after, token in _greedy_steps(model, _ids(tokens, source_vocab, model)):
                record = recorded.records[-1]
                vector = play.vector(model, after, spoken[-1] if spoken else None)
                steps.append(
                    AttentionStep(
                        model=name, source=tuple(tokens), written=tuple(written), annotations=_numbers(record.key[0]),
                        query=_numbers(record.query[0, -1]),
                        scores=None if record.scores is None else _numbers(record.scores[0, -1]),
                        weights=_numbers(record.weights[0, -1]), context=_numbers(record.context[0, -1]),
                        state=_numbers(vector), words=_best_words(p, target_vocab, 4),
                        captions=captions,
                        labels=(f"query {play.query}", "context Cᵢ", play.state),
                    )  # fmt: skip
                )
                written.append(target_vocab.words[token])
    finally:
        if hook is not None:
            hook.remove()
    return steps


def _captions(play: Play, plug: Any) -> tuple[str, ...]:
    formula = SCORES.get(type(getattr(plug, "score", None)), "score({q}, hⱼ)").format(q=play.query)
    return (
        "One state hⱼ for each source word, all of them kept.",
        f"The query is {play.asks}; αᵢⱼ = {formula}.",
        "aᵢⱼ = softmax over the source words: positive, summing to 1.",
        "Cᵢ = Σⱼ aᵢⱼ hⱼ: each state as strong as its weight.",
        play.moves,
        play.speaks,
    )


def _numbers(x: Tensor) -> np.ndarray:
    return x.detach().cpu().double().numpy()


def say_step(step: AttentionStep, stage: int) -> str:
    """One line of text beside a frame: what it shows, with its number."""
    best = int(step.weights.argmax())
    word, p = step.words[0]
    said = f"{step.model}, word {len(step.written) + 1}, {STAGES[stage]}"
    if stage == 1 and step.scores is not None:
        k = int(step.scores.argmax())
        said += f": highest score {step.scores[k]:.1f} for “{step.source[k]}”"
    elif stage in (2, 3):
        said += f": largest weight {step.weights[best]:.2f} on “{step.source[best]}”"
    elif stage == 5:
        said += f": “{word}” with probability {p:.2f}"
    return said + "."


# --- the fixed context ------------------------------------------------------------------------------------------------


def trace_fixed(
    model: FixedContextSeq2Seq, tokens: Sequence[str], source_vocab: Vocabulary, target_vocab: Vocabulary, name: str
) -> Unrolled:
    """The greedy translation of `tokens` through one vector, with the encoder's state after each word."""
    read = tuple(reversed(tokens)) if model.reverse_source else tuple(tokens)
    source = _ids(tokens, source_vocab, model)
    with evaluating(model):
        states, _ = model.encoder(model.source_embedding(_ids(read, source_vocab, model)))  # (1, S, H)
        memory = model.encode(source)
        steps = list(_greedy_steps(model, source))
    return Unrolled(
        model=name, read=read, states=_numbers(states[0]), context=_numbers(memory.context[0]),
        written=tuple(target_vocab.words[token] for _, _, token in steps),
        decoder_states=np.stack([_numbers(state.hidden[0, -1]) for _, state, _ in steps]),
        probabilities=tuple(float(p[token]) for p, _, token in steps), every_step=model.every_step,
    )  # fmt: skip


# --- steering ---------------------------------------------------------------------------------------------------------


class Run(NamedTuple):
    """A greedy translation with everything that was seen on the way, one entry a step (END's included)."""

    written: tuple[str, ...]  # without END
    weights: list[np.ndarray]  # (S,) each
    probabilities: list[Tensor]  # (V,) each


def follow(
    model: Any, tokens: Sequence[str], source_vocab: Vocabulary, target_vocab: Vocabulary, edit: Edit | None = None
) -> Run:
    """Translate `tokens`, with the attention edited on the way if `edit` is given."""
    own = model.attention
    recorded = RecordedAttention(own if edit is None else SteeredAttention(own, edit))
    with evaluating(model), plugged(model, recorded):
        steps = list(_greedy_steps(model, _ids(tokens, source_vocab, model)))
    weights = [_numbers(record.weights[0, -1]) for record in recorded.records]
    return Run(target_vocab.decode([token for _, _, token in steps]), weights, [p for p, _, _ in steps])


def steer(
    model: Any, tokens: Sequence[str], source_vocab: Vocabulary, target_vocab: Vocabulary, *, step: int, word: int,
    amount: float, name: str = "", before: Run | None = None,
) -> Steered:  # fmt: skip
    """Translate twice: as the model does, and with `amount` (0 … 1) of the weight moved to source word `word` at target
    step `step` alone; what it writes there is then its own past. `before`: the first of the two, if it is known."""
    if not 0 <= word < len(tokens):
        raise ValueError(f"word={word}: the sentence has {len(tokens)} words, 0 to {len(tokens) - 1}.")
    before = follow(model, tokens, source_vocab, target_vocab) if before is None else before
    if not 0 <= step < len(before.weights):
        raise ValueError(f"step={step}: this translation has {len(before.weights)} steps, the last writes its end.")
    wanted = torch.zeros(1, step + 1, len(tokens), device=device_of(model))
    wanted[0, step, word] = 1.0
    share = torch.zeros(1, step + 1, device=wanted.device)
    share[0, step] = amount
    after = follow(model, tokens, source_vocab, target_vocab, forced(wanted, share))
    p = [run.probabilities[step] for run in (before, after)]
    words = {w: target_vocab.words.index(w) for q in p for w, _ in _best_words(q, target_vocab, 4)}
    return Steered(
        model=name, source=tuple(tokens), step=step, word=word, amount=amount, written=(before.written, after.written),
        weights=(before.weights[step], after.weights[step]),
        words=tuple({w: float(q[i]) for w, i in words.items()} for q in p),
    )  # fmt: skip


def compare_weights(
    model: Any, pairs: Sequence[Pair], source_vocab: Vocabulary, target_vocab: Vocabulary, *, seed: int = 0,
    batch_size: int = 256,
) -> dict[str, dict[str, float]]:  # fmt: skip
    """The model with its learnt weights, the gold alignment's, uniform ones, and its own shuffled among the words.

    {weights: {"token_accuracy", "exact_match"}} under teacher forcing: the right past is given and only the
    weights differ; an exact match is a sentence with every next word right. Target words without a gold link keep the
    learnt weights under "gold".
    """
    right = dict.fromkeys(("learnt", "gold", "uniform", "permuted"), 0)
    whole, tokens = dict(right), 0
    own = model.attention
    with evaluating(model):
        for batch in Batches(pairs, source_vocab, target_vocab, batch_size).once():
            S, T = batch.source.shape[1], batch.target_in.shape[1]
            edits = {
                "learnt": None, "gold": forced(*gold_weights([pairs[i] for i in batch.index], S, T)),
                "uniform": uniform(batch.source_mask), "permuted": permuted(batch.source_mask, T, seed),
            }  # fmt: skip
            tokens += batch.n_tokens
            for kind, edit in edits.items():
                with plugged(model, own if edit is None else SteeredAttention(own, edit)):
                    said = model(batch.source, batch.target_in).argmax(-1)  # (B, T)
                hit = (said == batch.target_out) | (batch.target_out == PAD)
                right[kind] += int((hit & batch.target_mask).sum())
                whole[kind] += int(hit.all(1).sum())
    return {k: {"token_accuracy": right[k] / tokens, "exact_match": whole[k] / len(pairs)} for k in right}
