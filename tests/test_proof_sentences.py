"""Every sentence that a proof can say: a model with that fault alone makes the proof say it, and nothing before it.

tests/mutants.py has a mutant for every proof, often one that already the first comparison catches. Here each of the
comparisons is the one that must notice."""

import ast
import inspect

import pytest
import torch
from mutants import MUTANTS, WIDTHS, Attentive, LayersFirst
from torch import nn

from course_utils.proofs.models import PROOFS, check
from course_utils.proofs.tools import ProofFailed
from course_utils.seq2seq.fixed_context import FixedContextSeq2Seq
from course_utils.text.vocabulary import PAD


def told(change):
    """A sound model whose answers `change(model, source, logits, weights)` spoils, in one call and step by step."""

    class Told(Attentive):
        def forward(self, source, target_in, need_weights=False):
            logits, weights = super().forward(source, target_in, need_weights=True)
            logits, weights = change(self, source, logits, weights)
            return (logits, weights) if need_weights else logits

    return Told


def logits_by(amount):
    return told(lambda model, source, logits, weights: (logits + amount(model, source, logits), weights))


def weights_by(spoil):
    return told(lambda model, source, logits, weights: (logits, spoil(source, weights)))


def of_short_rows(model, source, logits):
    """Only the row of one word knows its neighbours."""
    short = ((source != PAD).sum(1) == 1).to(logits)
    return 0.01 * short.view(-1, 1, 1) * model.source_embedding(source[:, 0]).sum()


class NeverReadsTheFirst(Attentive):
    def encode(self, source):
        return super().encode(torch.cat([torch.full_like(source[:, :1], 4), source[:, 1:]], 1))


class Steep(Attentive):
    def __init__(self, **hparams):
        super().__init__(**hparams)
        self.nought = nn.Parameter(torch.zeros(3))

    def change(self, states):
        return states + 0 * self.nought.sum().sqrt()


class OneWordIsFrozen(Attentive):
    def embed(self, tokens, state):
        embedded = super().embed(tokens, state)
        return torch.where((tokens == 5).unsqueeze(-1), embedded.detach(), embedded)


class GradientTooLarge(Attentive):
    def change(self, states):
        return states + 1e-3 * (states - states.detach())  # the numbers of `states`, 1.001 times its gradient


class Hurries(Attentive):
    def forward(self, source, target_in, need_weights=False):
        answer = super().forward(source, target_in, need_weights)
        return answer if need_weights else answer + 1e-6


class StepsWithoutMap(Attentive):
    def step(self, token, state, memory):
        return *super().step(token, state, memory)[:2], None


def halves(source, weights):
    """Each target word shows half of the next one's map."""
    return torch.cat([(weights[:, :-1] + weights[:, 1:]) / 2, weights[:, -1:]], 1)


def below_zero(source, weights):
    moved = 2 * weights.detach().amax()
    return torch.cat([weights[..., :1] + moved, weights[..., 1:2] - moved, weights[..., 2:]], -1)


CASES = {  # (proof, what it says) -> the model
    ("future_leak", "maps moved"): weights_by(halves),
    ("pad_invariance", "attention maps moved"): weights_by(lambda s, w: w * (1 + 1e-3 * s.shape[1])),
    ("pad_invariance", "pads added to the source are attended to"): weights_by(
        lambda s, w: w + 1e-6 * (s == PAD).unsqueeze(1)),
    ("pad_invariance", "the embedding of PAD was changed"): logits_by(
        lambda m, s, x: m.target_embedding.weight[PAD].sum()),
    ("batch_independence", "rows were reordered"): logits_by(
        lambda m, s, x: 1e-6 * torch.arange(len(s)).view(-1, 1, 1)),
    ("batch_independence", "neighbours were changed"): logits_by(of_short_rows),
    ("batch_independence", "alone differs from itself"): logits_by(lambda m, s, x: 1e-6 * len(s)),
    ("batch_independence", "map alone differs"): weights_by(lambda s, w: w * (1 + 1e-6 * len(s))),
    ("every_word_counts", "was changed, the logits stayed"): NeverReadsTheFirst,
    ("gradient_flow", "is not finite"): Steep,
    ("gradient_flow", "a word of the batch gets no gradient"): OneWordIsFrozen,
    ("gradient_truth", "the loss moves by"): GradientTooLarge,
    ("parallel_equals_steps", "logits with need_weights=False differ"): Hurries,
    ("parallel_equals_steps", "only one of forward and step returns attention"): StepsWithoutMap,
    ("attention_rows", "this model returns no attention"): lambda: FixedContextSeq2Seq(**WIDTHS),
    ("attention_rows", "attention has shape"): weights_by(lambda s, w: w[..., :-1]),
    ("attention_rows", "a weight is negative"): weights_by(below_zero),
    ("rows_can_be_taken", "rows first"): lambda: LayersFirst(**WIDTHS, n_layers=2),
    ("torch_equivalence", "the map differs from the loop's"): weights_by(lambda s, w: w.roll(1, -1)),
}  # fmt: skip
ELSEWHERE = {("gradient_flow", "has one despite NO_GRADIENT")}  # test_proofs.py


@pytest.mark.parametrize("proof, says", CASES, ids=str)
def test_the_proof_says_so(proof, says):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = CASES[proof, says]().double()
    for training in (False, True):
        with pytest.raises(ProofFailed) as failed:
            check(PROOFS[proof], model.train(training))
        assert says in str(failed.value)


def sentences(proof):
    """What a proof says when a comparison fails, as the pieces of each sentence that do not depend on the case."""
    for node in ast.walk(ast.parse(inspect.getsource(proof))):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("same", "zero", "differ", "ProofFailed"):
            for words in (a for a in node.args if isinstance(a, ast.Constant | ast.JoinedStr | ast.IfExp)):
                for choice in (words.body, words.orelse) if isinstance(words, ast.IfExp) else (words,):
                    yield [n.value for n in ast.walk(choice) if isinstance(n, ast.Constant)]


def test_no_sentence_is_without_a_model():
    known = {(m.caught_by, m.says) for m in MUTANTS.values()} | set(CASES) | ELSEWHERE
    silent = [
        (name, pieces) for name, proof in PROOFS.items() for pieces in sentences(proof)
        if not any(name == p and (says in piece or len(piece) > 9 and piece in says)
                   for p, says in known for piece in pieces)
    ]  # fmt: skip
    assert not silent
    assert sum(1 for proof in PROOFS.values() for _ in sentences(proof)) >= 28
