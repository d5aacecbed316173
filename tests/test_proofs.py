"""Every model passes every proof in both modes; every proof goes red on models broken on purpose."""

import pytest
import torch
from mutants import MUTANTS, SOUND, Attentive
from torch import nn

from course_utils.attention.dense import DenseAttention
from course_utils.attention.scores import GeneralScore
from course_utils.proofs.models import (
    DOES_NOT_APPLY,
    MODELS,
    NO_GRADIENT,
    PROOFS,
    build,
    check,
    gradient_flow,
    prove,
)
from course_utils.proofs.tools import ProofFailed, differ, same, sample, zero
from course_utils.text.vocabulary import BEGIN, END, PAD

MODES = {"evaluation": False, "training": True}
PAIRS = [(proof, model) for model in MODELS for proof in PROOFS]


def drawn(make):
    """A model in float64 with weights from a fixed seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return make().double()


def failures(proof, model):
    """Mode -> sentence, for the modes in which the proof fails."""
    said = {}
    for mode, training in MODES.items():
        try:
            check(proof, model.train(training))
        except ProofFailed as failure:
            said[mode] = str(failure)
    return said


@pytest.mark.parametrize("proof, model", [pair for pair in PAIRS if pair not in DOES_NOT_APPLY])
def test_model_passes(proof, model):
    assert failures(PROOFS[proof], build(model)) == {}


@pytest.mark.parametrize("proof, model", list(DOES_NOT_APPLY))
def test_exemption_has_a_reason_and_is_needed(proof, model):
    assert proof in PROOFS and model in MODELS and len(DOES_NOT_APPLY[proof, model]) > 20
    assert set(failures(PROOFS[proof], build(model))) == set(MODES)


@pytest.mark.parametrize("name", list(MUTANTS))
def test_mutant_is_caught(name):
    mutant = MUTANTS[name]
    said = failures(mutant.proof or PROOFS[mutant.caught_by], drawn(mutant.build))
    assert set(said) == (set(MODES) if mutant.modes == "both" else {mutant.modes})
    assert all(mutant.says in sentence for sentence in said.values()), said


@pytest.mark.parametrize("name", list(SOUND))
def test_mutants_without_their_fault_pass(name):
    """So it is the fault that is caught, not the rewriting around it."""
    other_equations = () if name == "attentive" else ("torch_equivalence",)
    prove(drawn(SOUND[name]), leave_out=other_equations)


def test_every_proof_has_a_mutant():
    assert {mutant.caught_by for mutant in MUTANTS.values()} == set(PROOFS)


def test_faults_of_famous_courses_are_among_the_mutants():
    origins = " ".join(mutant.origin for mutant in MUTANTS.values())
    faults = "d2l TransformerDecoderBlock", "d2l predict_step", "d2l Seq2SeqEncoder", "UvA", "PyTorch", "bentrevett"
    for fault in faults:
        assert fault in origins


class KeyBiased(GeneralScore):
    """A bias on the keys, as nn.MultiheadAttention has: it cannot learn."""

    def __init__(self, name):
        super().__init__(8, 8)
        self.name = name
        self.register_parameter(name, nn.Parameter(torch.randn(8)))

    def project_key(self, key):
        return self.W(key) + getattr(self, self.name)


def test_named_exemption_from_gradient_flow():
    assert "key_bias" in NO_GRADIENT
    gradient_flow(drawn(lambda: Attentive(attention=DenseAttention(KeyBiased("key_bias")))))
    with pytest.raises(ProofFailed, match="no gradient reaches attention.score.other"):
        gradient_flow(drawn(lambda: Attentive(attention=DenseAttention(KeyBiased("other")))))


def test_a_wrong_exemption_is_noticed(monkeypatch):
    monkeypatch.setitem(NO_GRADIENT, "combine.bias", "not true")
    with pytest.raises(ProofFailed, match="despite NO_GRADIENT"):
        gradient_flow(build("attentive, GRU, general score"))


def test_proofs_leave_the_model_and_the_generator_alone():
    model = build("attentive, GRU, general score").train()
    before, state = [p.clone() for p in model.parameters()], torch.get_rng_state()
    for proof in PROOFS.values():
        check(proof, model)
    assert model.training and all(p.grad is None for p in model.parameters())
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    assert torch.equal(state, torch.get_rng_state())


def test_what_a_proof_cannot_judge_is_refused():
    with pytest.raises(ValueError, match="drops 0.3 of its units"):
        prove(Attentive(dropout=0.3).double())
    with pytest.raises(ValueError, match=r"use model.double\(\)"):
        prove(Attentive())


def test_comparisons_can_fail():
    one = torch.ones(2, 2, dtype=torch.float64)
    same(one, one + 1e-13, "")
    for wrong in (one + 1e-9, one * torch.nan, one[:1]):
        with pytest.raises(ProofFailed):
            same(wrong, one, "")
    with pytest.raises(ProofFailed):
        zero(torch.tensor([0.0, 1e-30]), "")
    with pytest.raises(ProofFailed):
        differ(torch.stack([one[0], one[0] + 1]), one, "the first row stayed")


def test_sample_is_ragged_and_shifted_by_one():
    batch = sample()
    assert (batch.source[:, 0] != PAD).all() and (batch.source[:, -1] == PAD).sum() == 3
    assert (batch.target_in[:, 0] == BEGIN).all() and ((batch.target_out == END).sum(1) == 1).all()
    real = batch.target_in[:, 1:] != PAD
    assert torch.equal(batch.target_in[:, 1:][real], batch.target_out[:, :-1][real])
