"""Notebook 17's recipe: the paper's rate, both smoothings, averaged checkpoints, two passes, gradients by block."""

import math

import pytest
import torch

from course_utils.corpora.mini import load_split
from course_utils.experiments.nb17.depth import at_initialisation, gradient_by_block
from course_utils.experiments.nb17.training_tips import (
    average_weights,
    mixed_input,
    paper_rate,
    smoothed_targets,
    train_keeping,
    two_passes,
)
from course_utils.seq2seq.transformer import Transformer
from course_utils.text.batches import Batches, make_batch
from course_utils.text.vocabulary import BEGIN, PAD, Vocabulary
from course_utils.training import learning_rate, token_loss, train

PAIRS = load_split("valid")[:24]
WORDS = Vocabulary.build(p.source for p in PAIRS), Vocabulary.build(p.target for p in PAIRS)


def small(seed=0, **changes):
    torch.manual_seed(seed)
    return Transformer(*map(len, WORDS), **({"d_model": 16, "n_heads": 2, "n_layers": 1, "d_ff": 16} | changes))


def batches(seed=0):
    return Batches(PAIRS, *WORDS, batch_size=8, seed=seed)


def test_the_paper_s_rate():
    assert paper_rate(4000, 512, 4000) == pytest.approx(1 / math.sqrt(512 * 4000))
    rates = [paper_rate(step, 512, 100) for step in range(1, 401)]
    assert rates.index(max(rates)) == 99 and rates[0] == pytest.approx(rates[99] / 100)
    assert rates[399] == pytest.approx(rates[99] / 2)  # falls like 1/√step
    assert paper_rate(7, 128, 10) == pytest.approx(2 * paper_rate(7, 512, 10))
    for wrong in ((0, 512, 10), (1, 0, 10), (1, 512, 0)):
        with pytest.raises(ValueError, match="step 1|1 or more"):
            paper_rate(*wrong)


def test_both_smoothings_by_the_numbers_of_the_traps():
    assert torch.allclose(smoothed_targets(torch.tensor([2]), 5, 0.1), torch.tensor([[0.02, 0.02, 0.92, 0.02, 0.02]]))
    others = smoothed_targets(torch.tensor([2]), 5, 0.1, "others")
    assert torch.allclose(others, torch.tensor([[0, 0.1 / 3, 0.9, 0.1 / 3, 0.1 / 3]]))
    for spread in ("all", "others"):
        q = smoothed_targets(torch.tensor([[1, 4, PAD]]), 7, 0.3, spread)
        assert q.shape == (1, 3, 7) and torch.allclose(q.sum(-1), torch.tensor([[1.0, 1.0, 0.0]]))
    for wrong in ({"e": 1.0}, {"e": -0.1}, {"n_classes": 2}, {"spread": "torch"}):
        with pytest.raises(ValueError, match="needed are|one of"):
            smoothed_targets(**({"target": torch.tensor([1]), "n_classes": 5, "e": 0.1} | wrong))


def test_the_smoothed_targets_are_torch_s_and_without_pads():
    logits, target = torch.randn(3, 4, 9, dtype=torch.float64), torch.randint(1, 9, (3, 4))
    target[0, 2:] = PAD
    for e, spread in ((0.2, "all"), (0.0, "others")):
        q = smoothed_targets(target, 9, e, spread).double()
        loss = -(q * logits.log_softmax(-1)).sum() / (target != PAD).sum()
        assert torch.allclose(loss, token_loss(logits, target, e))


def test_the_mean_of_checkpoints():
    states = [{"w": torch.tensor([1.0, 2.0]) * k, "n": torch.tensor(k)} for k in (1, 2, 6)]
    found = average_weights(states)
    assert torch.equal(found["w"], torch.tensor([3.0, 6.0])) and found["n"] == 6 and torch.equal(
        states[0]["w"], torch.tensor([1.0, 2.0])
    )
    with pytest.raises(ValueError, match="no checkpoint"):
        average_weights([])
    with pytest.raises(ValueError, match="different models"):
        average_weights([states[0], {"w": torch.zeros(2)}])


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_keeping_checkpoints_changes_nothing_and_keeps_the_right_moments(smoothing):
    settings = dict(steps=6, lr=1e-3, warmup=2, seed=3, progress=False)
    plain = small()
    train(plain, batches(), label_smoothing=smoothing, **settings)
    model = small()
    history, kept = train_keeping(model, batches(), keep=(2, 4, 6), label_smoothing=smoothing, **settings)
    assert len(history) == 6 and len(kept) == 3
    assert all(torch.equal(value, kept[-1][name]) for name, value in plain.state_dict().items())
    short = small()
    train(short, batches(), label_smoothing=smoothing, stop_after=4, **settings)
    assert all(torch.equal(value, kept[1][name]) for name, value in short.state_dict().items())


def test_a_flat_rate_hardly_falls():
    history, _ = train_keeping(small(), batches(), steps=10, keep=(), flat=True, lr=1e-2, warmup=2, progress=False)
    assert history.lr == [learning_rate(step, 500, 1e-2, 2) for step in range(1, 11)] and history.lr[-1] > 0.98e-2


def test_the_second_pass_reads_a_guess_where_its_word_stood():
    target_in = torch.tensor([[BEGIN, 11, 12, 13, PAD], [BEGIN, 14, PAD, PAD, PAD]])
    guesses = torch.tensor([[21, 22, 23, 24, 25], [31, 32, 33, 34, 35]])
    nothing, everything = torch.zeros(2, 5, dtype=torch.bool), torch.ones(2, 5, dtype=torch.bool)
    assert torch.equal(mixed_input(target_in, guesses, everything), target_in)
    own = [[BEGIN, 21, 22, 23, PAD], [BEGIN, 31, PAD, PAD, PAD]]
    assert mixed_input(target_in, guesses, nothing).tolist() == own
    some = nothing.clone()
    some[0, 2] = True
    assert mixed_input(target_in, guesses, some)[0].tolist() == [BEGIN, 21, 12, 23, PAD]


def test_two_passes_begin_with_right_words_and_end_with_the_share_asked_for(monkeypatch):
    from course_utils.experiments.nb17 import training_tips

    shares, model, batch = [], small(), make_batch(PAIRS, *WORDS)

    def watched(given, guesses, forced):
        shares.append(forced.double().mean().item())
        return mixed_input(given, guesses, forced)

    monkeypatch.setattr(training_tips, "mixed_input", watched)
    objective = two_passes(4, 0.25, seed=0)
    first = objective(model, batch)
    plain = token_loss(model(batch.source, batch.target_in), batch.target_out)
    assert torch.equal(first, plain) and first.requires_grad
    for _ in range(8):
        later = objective(model, batch)
    assert shares[0] == 1.0 and 0.1 < shares[-1] < 0.4 and shares[2] > shares[-1] and later != first
    for wrong in ((0, 0.5), (3, 1.5)):
        with pytest.raises(ValueError, match="between 0 and 1"):
            two_passes(*wrong, seed=0)


def test_gradients_by_block_are_those_of_backward():
    batch = make_batch(PAIRS[:4], *WORDS)
    model = small(n_layers=3).double()
    found = gradient_by_block(model, [batch, batch])
    assert all(p.grad is None for p in model.parameters()) and found["encoder"].shape == (3,)
    token_loss(model(batch.source, batch.target_in), batch.target_out).backward()
    assert found["decoder"][1] == pytest.approx(model.decoder[1].feed_forward.outer.weight.grad.norm().item())
    assert found["encoder"][2] == pytest.approx(model.encoder[2].feed_forward.outer.weight.grad.norm().item())
    with pytest.raises(ValueError, match="no batch"):
        gradient_by_block(model, [])


def test_post_norm_starves_the_first_decoder_blocks_and_pre_norm_does_not():
    batch = [make_batch(PAIRS[:8], *WORDS)]
    before = torch.get_rng_state()
    found = {norm: at_initialisation(batch, tuple(map(len, WORDS)), norm=norm, n_layers=8)["decoder"]
             for norm in ("pre", "post")}  # fmt: skip
    assert torch.equal(before, torch.get_rng_state())
    assert found["post"][0] < found["post"][-1] / 3 and found["pre"][0] > found["pre"][-1]
