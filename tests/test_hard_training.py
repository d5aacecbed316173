"""What notebook 09 trains: objectives of hard attention, translating online, copying strings, and its recipes."""

import pytest
import torch
from plug_checks import drawn, same, vectors

from course_utils.attention.dense import DenseAttention
from course_utils.attention.hard import HardAttention, RunningBaseline
from course_utils.attention.monotonic import MonotonicAttention
from course_utils.attention.scores import GeneralScore
from course_utils.attention.steering import SteeredAttention, forced, plugged
from course_utils.corpora.pair import Pair
from course_utils.experiments.nb09 import copying, recipes
from course_utils.experiments.nb09.objectives import each_word_alone, expected, mixture, readings, reinforce
from course_utils.experiments.nb09.online import OneWaySeq2Seq, said_so_far
from course_utils.proofs.models import PROOFS, check
from course_utils.proofs.tools import SIZES, sample
from course_utils.seq2seq.attentive import AttentiveSeq2Seq
from course_utils.text.batches import Batch, make_batch
from course_utils.text.vocabulary import Vocabulary

PAIRS = [Pair(tuple(s.split()), tuple(t.split())) for s, t in (("a b c", "A C"), ("b", "B B C"), ("c a", "A"))]
WORDS = Vocabulary.build(p.source for p in PAIRS), Vocabulary.build(p.target for p in PAIRS)
BATCH = make_batch(PAIRS, *WORDS)


def model(how="sample", **more):
    plug = lambda: HardAttention(GeneralScore(8, 8), how)  # noqa: E731
    return drawn(lambda: AttentiveSeq2Seq(*map(len, WORDS), d_embedding=5, d_hidden=8, attention=plug(), **more))


# --- objectives -------------------------------------------------------------------------------------------------------


@torch.no_grad()
def test_each_word_alone_is_what_the_model_says_with_its_weight_put_there():
    net = model().eval()
    log_weights, log_probs = each_word_alone(net, BATCH)
    B, T, S = log_probs.shape
    for j in range(S):
        wanted = torch.zeros(B, T, S, dtype=torch.float64)
        wanted[..., j] = 1.0
        with plugged(net, SteeredAttention(net.attention, forced(wanted))):
            logits = net(BATCH.source, BATCH.target_in)
        right = logits.log_softmax(-1).gather(-1, BATCH.target_out.unsqueeze(-1)).squeeze(-1)
        here = BATCH.source_mask[:, j]
        same(log_probs[here, :, j], right[here])
    with plugged(net, DenseAttention(net.attention.score)):
        weights = net(BATCH.source, BATCH.target_in, need_weights=True)[1]
    same(log_weights.exp(), weights)
    with pytest.raises(ValueError, match="use a model without it"):
        each_word_alone(model(input_feeding=True), BATCH)


@torch.no_grad()
def test_the_four_readings():
    net = model().eval()
    found = readings(net, BATCH)
    log_weights, log_probs = each_word_alone(net, BATCH)
    assert (found["expected"] <= found["mixture"] + 1e-12).all() and found["soft"].shape == BATCH.target_out.shape
    same(found["mixture"], (log_weights.exp() * log_probs.exp()).sum(-1).log())
    for how, name in ((HardAttention(net.attention.score, "argmax"), "largest"),
                      (DenseAttention(net.attention.score), "soft")):  # fmt: skip
        with plugged(net, how):
            logits = net(BATCH.source, BATCH.target_in).log_softmax(-1)
        same(found[name], logits.gather(-1, BATCH.target_out.unsqueeze(-1)).squeeze(-1))
    assert torch.allclose(found["soft"][1], found["mixture"][1])  # one source word: no difference
    assert len({round(float(x[0].sum()), 6) for x in found.values()}) == 4


def gradient(loss, net):
    return torch.autograd.grad(loss, net.attention.score.W.weight)[0]


@pytest.mark.parametrize("baseline", [False, True])
def test_reinforce_is_the_gradient_of_the_expectation(baseline):
    net, n = model().train(), 20_000
    with torch.no_grad():
        net.combine.weight[:, 8:].mul_(6.0)  # or the source words would hardly matter
        net.output.weight.mul_(6.0)
    if baseline:
        net.baseline = RunningBaseline()
        net.baseline.update(torch.tensor(-10.0))
    single, many = (Batch(*(x[:1].repeat(k, 1) for x in (BATCH.source, BATCH.target_in, BATCH.target_out)),
                          list(range(k))) for k in (1, n))  # fmt: skip
    torch.manual_seed(0)
    exact, drawn_ = gradient(expected(net, single), net), gradient(reinforce(net, many), net)
    assert (drawn_ - exact).norm() < 0.1 * exact.norm()
    assert (gradient(mixture(net, single), net) - exact).norm() > 0.3 * exact.norm()


def test_the_baseline_follows_the_reward_of_real_words_and_is_saved():
    net = model().train()
    net.baseline = RunningBaseline()
    torch.manual_seed(0)
    reinforce(net, BATCH)
    first = float(net.baseline.value)
    rewards = each_word_alone(net, BATCH)[1].detach()[BATCH.target_mask]
    assert 0.1 * float(rewards.min()) - 1e-6 <= first <= 0.1 * float(rewards.max()) + 1e-6 < 0
    assert float(net.state_dict()["baseline.value"]) == first
    ins, outs = (torch.cat([x, torch.zeros_like(x)], 1) for x in (BATCH.target_in, BATCH.target_out))
    padded, found = Batch(BATCH.source, ins, outs, BATCH.index), []
    for batch in (BATCH, padded):
        net.baseline = RunningBaseline()
        with plugged(net, HardAttention(net.attention.score, "sample").eval()):  # takes the same words in both
            found.append((float(reinforce(net, batch).detach()), float(net.baseline.value)))
    assert found[0] == pytest.approx(found[1])


# --- online -----------------------------------------------------------------------------------------------------------


def test_the_one_way_model_keeps_the_contract():
    net = drawn(lambda: OneWaySeq2Seq(**SIZES, d_embedding=5, d_hidden=8, attention="general"))
    for name, proof in PROOFS.items():
        if name != "torch_equivalence":
            check(proof, net)
    memory, batch = net.encode(sample().source), sample()
    heard = net.encode(batch.source[:, :2])
    same(memory.annotations[:, :2], heard.annotations)
    assert not memory.initial.hidden.any()


def walking_weights(kind):
    net = kind(*map(len, WORDS), d_embedding=5, d_hidden=8, attention=MonotonicAttention(8, 8, 5, bias=-0.1))
    with torch.no_grad():
        net.attention.energy.g.fill_(6.0)
        net.output.weight.mul_(5.0)
    return net.eval()


def grows(said):
    return all(after[: len(before)] == before for before, after in zip(said, said[1:], strict=False))


def test_only_the_one_way_model_is_online():
    """What it has written after some words is the beginning of what it writes after one more."""
    sentences = [tuple("abcab"), tuple("bacba")]
    spoke, changed = False, False
    for seed in range(12):
        for kind in (OneWaySeq2Seq, AttentiveSeq2Seq):
            net = drawn(lambda kind=kind: walking_weights(kind), seed=seed)
            for words in sentences:
                said = said_so_far(net, words, *WORDS)
                assert len(said) == len(words) and all(len(s) <= 20 for s in said)
                if kind is OneWaySeq2Seq:
                    assert grows(said), (seed, words, said)
                    spoke = spoke or 0 < len(said[-2]) < len(said[-1])
                else:
                    changed = changed or not grows(said)
    assert spoke and changed
    with pytest.raises(ValueError, match="an empty sentence"):
        said_so_far(net, (), *WORDS)


# --- strings ----------------------------------------------------------------------------------------------------------


def test_strings_to_copy():
    pairs = copying.strings(60, (2, 5), seed=0)
    assert {len(p.source) for p in pairs} == {2, 5} and all(p.source == p.target for p in pairs)
    assert {x for p in pairs for x in p.source} == set("abc") and pairs == copying.strings(60, (2, 5), seed=0)
    assert pairs != copying.strings(60, (2, 5), seed=1)


def test_the_three_copiers():
    words, two = Vocabulary(copying.LETTERS), copying.strings(2, (7,), seed=3)
    query = vectors(1, 3, copying.WIDTH)
    for kind in copying.KINDS:
        net = drawn(lambda kind=kind: copying.copier(kind, words)).eval()
        keys = [vectors(1, 6, 2 * copying.WIDTH, seed=seed) for seed in (2, 3)]
        one, other = (net.attention(query, key, key, need_weights=True)[1] for key in keys)
        assert (kind == "place") == torch.allclose(one, other)
        scores = copying.copied(net, two, words)
        assert scores["exact_match"] == 0.0 and 0 < scores["places_off"] < 7
    with pytest.raises(ValueError, match="unknown kind 'sound'"):
        copying.copier("sound", words)


# --- recipes ----------------------------------------------------------------------------------------------------------

READ = {"soft", "largest", "expected", "mixture"}


@pytest.mark.parametrize("name", recipes.MODELS)
def test_every_model_trains_and_is_scored(name):
    made = recipes.translating(0, model=name, lr=1e-3, steps=2, splits=("valid",))
    assert any(p.requires_grad for p in made.model.attention.parameters())
    before = {key: value.clone() for key, value in made.model.attention.state_dict().items()}
    made.fit(made.model, made.batches, progress=False, warmup=1, **made.training)
    moved = [key for key, value in made.model.attention.state_dict().items() if not torch.equal(value, before[key])]
    assert moved, "its attention learns"
    scores = made.splits["valid"](made.model, 4)
    assert {"perplexity", "aer", "sure_mass", "bleu", "weight"} <= scores.keys()
    assert all(0 < scores[key] < 1e6 for key in READ & scores.keys())
    hard = name == "straight-through" or name in recipes.OBJECTIVES
    assert (READ <= scores.keys()) == (hard or name in ("global", "one-way"))
    assert ("walk" in scores) == ("monotonic" in name) and ("hard_bleu" in scores) == (name in ("global", "one-way"))
    if hard:
        assert scores["perplexity"] == pytest.approx(scores["largest"], rel=1e-4)
    if name == "global":
        assert scores["perplexity"] == pytest.approx(scores["soft"], rel=1e-4)
        assert scores["hard_perplexity"] == pytest.approx(scores["largest"], rel=1e-4)
    assert hasattr(made.model, "baseline") == (name == "sampled")
    assert name not in recipes.ONE_WAY or isinstance(made.model, OneWaySeq2Seq)


def test_copying_trains_and_is_scored():
    made = recipes.copying(0, kind="hybrid", steps=2)
    made.fit(made.model, made.batches, progress=False, warmup=1, **made.training)
    assert set(made.splits) == {"length-08", "length-12", "length-16", "length-24", "length-36"}
    assert made.splits["length-16"](made.model, 3).keys() == {"exact_match", "places_off"}


def test_the_recipes_have_names_of_their_own():
    names = [(r.model, r.task) for r in recipes.RECIPES]
    assert len(set(names)) == len(names) and set(recipes.RATES) == set(recipes.MODELS)
    assert {r.seeds for r in recipes.RECIPES if r.task.startswith("rate=")} == {(3,)}
