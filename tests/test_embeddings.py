"""Word vectors: loss, noise, thinning out, windows, next-word models, neighbours, analogies, each against a loop."""

import math
from collections import Counter

import pytest
import torch
from torch.autograd import gradcheck

from course_utils.corpora.vectors import (
    Correlation,
    WordVectors,
    analogy_accuracy,
    label_agreement,
    similarity_correlation,
)
from course_utils.experiments.nb01.next_word import (
    NextWordBatches,
    NextWordModel,
    next_word_loss,
    next_word_pairs,
    next_word_scores,
)
from course_utils.models import word2vec
from course_utils.models.embeddings import (
    CBOW,
    SkipGram,
    WindowBatch,
    WindowBatches,
    count_words,
    keep_probability,
    negative_sampling_loss,
    noise_distribution,
)
from course_utils.models.word2vec import build_word2vec, fit_word2vec, train_word2vec
from course_utils.seeds import seed_everything
from course_utils.text.vocabulary import BEGIN, END, UNK, Vocabulary
from course_utils.training import History, train

# ---- counts, noise, thinning out -------------------------------------------------------------------------------------


def test_words_are_counted_and_ordered():
    words, counts = count_words([("b", "a", "b"), ("c", "a")], min_count=1)
    assert words == ("a", "b", "c") and counts.tolist() == [2, 2, 1]
    assert count_words([("b", "a", "b"), ("c", "a")], min_count=2)[0] == ("a", "b")
    with pytest.raises(TypeError, match="not the string 'the cat'"):
        count_words(["the cat"])
    with pytest.raises(ValueError, match="0 words appear 3 times or more"):
        count_words([("a", "b")], min_count=3)


def test_the_noise_is_the_count_to_the_power_of_three_quarters():
    noise = noise_distribution(torch.tensor([16, 81, 0, 1]))
    assert torch.allclose(noise, torch.tensor([8.0, 27.0, 0.0, 1.0]).double() / 36)
    assert noise_distribution(torch.tensor([3, 1]), power=1).tolist() == [0.75, 0.25]
    assert noise_distribution(torch.tensor([3, 1]), power=0).tolist() == [0.5, 0.5]
    with pytest.raises(ValueError, match="not negative"):
        noise_distribution(torch.tensor([3, -1]))


def test_drawn_noise_follows_the_distribution():
    text = [("a",) * 60 + ("b",) * 30 + ("c",) * 9 + ("d",)] * 20
    batches = windows(text, noise=4000, batch_size=500)
    drawn = torch.cat([batch.negatives for batch in take(batches, 10)])
    share = torch.bincount(drawn, minlength=4) / len(drawn)
    assert torch.allclose(share.double(), noise_distribution(torch.tensor([60, 30, 9, 1])), atol=0.01)


def test_frequent_words_are_kept_with_the_papers_probability():
    counts = torch.tensor([900, 90, 10])  # f = 0.9, 0.09, 0.01
    assert torch.allclose(keep_probability(counts, 0.0225), torch.tensor([math.sqrt(0.025), 0.5, 1.0]).double())
    assert keep_probability(counts, None).tolist() == [1.0, 1.0, 1.0]
    with pytest.raises(ValueError, match="threshold is a share"):
        keep_probability(counts, 0)


def test_an_epoch_keeps_as_many_of_each_word_as_it_should():
    text = [("the",) * 6 + ("cat", "dog", "sat", "mat")] * 400
    words, counts = count_words(text)
    batches = windows(text, subsample=0.05, batch_size=10_000)
    kept = torch.bincount(next(batches.forever()).centres, minlength=len(words))
    assert torch.allclose(kept / counts, keep_probability(counts, 0.05).float(), atol=0.06)


# ---- the loss --------------------------------------------------------------------------------------------------------


def log_sigmoid(x):
    return -math.log(1 + math.exp(-x))


def test_one_pair_with_k_noise_words_is_equation_4():
    positive, negative = torch.tensor([[0.7]]), torch.tensor([[0.2, -1.1, 0.4]])
    by_hand = -(log_sigmoid(0.7) + log_sigmoid(-0.2) + log_sigmoid(1.1) + log_sigmoid(-0.4))
    assert negative_sampling_loss(positive, negative, k=3).item() == pytest.approx(by_hand, rel=1e-6)


def test_every_pair_of_a_row_counts_its_noise_and_masked_pairs_do_not_count():
    positive, negative = torch.tensor([[0.5, 9.0], [0.1, -0.3]]), torch.tensor([[0.2, -0.6], [1.0, 0.0]])
    mask = torch.tensor([[True, False], [True, True]])
    noise = [sum(-log_sigmoid(-x) for x in row) * 5 / 2 for row in negative.tolist()]
    by_hand = -log_sigmoid(0.5) + noise[0] - log_sigmoid(0.1) - log_sigmoid(-0.3) + 2 * noise[1]
    loss = negative_sampling_loss(positive, negative, k=5, mask=mask)
    assert loss.item() == pytest.approx(by_hand / 3, rel=1e-6)


def test_the_gradients_are_those_of_the_formula_and_of_finite_differences():
    torch.manual_seed(0)
    positive = torch.randn(3, 2, dtype=torch.float64, requires_grad=True)
    negative = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[True, False], [True, True], [True, True]])
    negative_sampling_loss(positive, negative, 5, mask).backward()
    assert torch.allclose(positive.grad, (torch.sigmoid(positive.detach()) - 1) * mask / 5)
    assert torch.allclose(negative.grad, torch.sigmoid(negative.detach()) * mask.sum(1, keepdim=True) * 5 / 4 / 5)
    assert gradcheck(lambda p, n: negative_sampling_loss(p, n, 5, mask), (positive, negative))


def small_batch():
    contexts = torch.tensor([[1, 2], [0, 3]])
    mask = torch.tensor([[True, True], [False, True]])
    return WindowBatch(torch.tensor([4, 5]), contexts, mask, torch.tensor([6, 0, 6]), [0])


def random_model(kind, n=7, d=3):
    torch.manual_seed(1)
    model = kind(n, d).double()
    torch.nn.init.normal_(model.input.weight)
    torch.nn.init.normal_(model.output.weight)
    return model


def test_skip_gram_scores_are_the_dot_products_of_input_centre_and_output_neighbour():
    model, batch = random_model(SkipGram), small_batch()
    v, out = model.input.weight, model.output.weight
    positive, negative, mask = model(batch)
    assert torch.allclose(positive[0], torch.stack([v[4] @ out[1], v[4] @ out[2]]))
    assert torch.allclose(positive[1, 1], v[5] @ out[3]) and torch.equal(mask, batch.mask)
    assert torch.allclose(negative[1], torch.stack([v[5] @ out[6], v[5] @ out[0], v[5] @ out[6]]))


@pytest.mark.parametrize("batch_size", [64, 37, 3])
def test_skip_gram_in_blocks_is_the_plain_form(batch_size):
    """Scores, loss and gradients, for full blocks, a block with a rest and less than a block."""
    text = [tuple(f"w{(5 * i + j * j) % 29}" for j in range(1 + i % 11)) for i in range(40)]
    words, _ = count_words(text)
    model = random_model(SkipGram, len(words), 6)
    for batch in take(windows(text, window=4, batch_size=batch_size), 7):
        assert batch.stretch is not None and torch.equal(batch.stretch[4:-4], batch.centres)
        plain = WindowBatch(batch.centres, batch.contexts, batch.mask, batch.negatives, batch.index)
        found = []
        for one in (batch, plain):
            positive, negative, mask = model(one)
            loss = negative_sampling_loss(positive, negative, 5, mask)
            gradients = torch.autograd.grad(loss, list(model.parameters()))
            found.append((positive[mask], negative, *gradients))
        for fast, slow in zip(*found, strict=True):
            assert torch.allclose(fast, slow)


def test_cbow_scores_are_the_dot_products_of_the_mean_neighbour_and_output_centre():
    model, batch = random_model(CBOW), small_batch()
    v, out = model.input.weight, model.output.weight
    positive, negative, mask = model(batch)
    means = torch.stack([(v[1] + v[2]) / 2, v[3]])
    assert torch.allclose(positive[:, 0], torch.stack([means[0] @ out[4], means[1] @ out[5]]))
    assert torch.allclose(negative, means @ out[[6, 0, 6]].T) and mask.all()


def test_the_shared_noise_gives_equation_4_on_average():
    """Mean over many draws of K shared words = k times the expectation over the noise distribution."""
    noise = noise_distribution(torch.tensor([5, 3, 2]))
    scores = torch.tensor([[0.3, -0.8, 1.2]]).double()  # of the one centre with each of the three words
    losses = [-log_sigmoid(-s) for s in scores[0].tolist()]
    exact = -log_sigmoid(0.4) + 5 * sum(p * loss for p, loss in zip(noise.tolist(), losses, strict=True))
    draw = torch.Generator().manual_seed(0)
    drawn = torch.multinomial(noise, 40_000, replacement=True, generator=draw)
    loss = negative_sampling_loss(torch.tensor([[0.4]]).double(), scores[:, drawn], k=5)
    assert loss.item() == pytest.approx(exact, rel=5e-3)


# ---- windows ---------------------------------------------------------------------------------------------------------


def windows(sentences, **options):
    words, counts = count_words(sentences)
    return WindowBatches(sentences, words, counts, **{"subsample": None, "noise": 4} | options)


def take(batches, n):
    stream = batches.forever()
    return [next(stream) for _ in range(n)]


def test_windows_stay_in_their_sentence_and_leave_the_centre_out():
    """Every word of the text is another, so that a pair tells where both stood."""
    text = [tuple(f"s{i}w{j}" for j in range(1 + i % 7)) for i in range(40)]
    batches = windows(text, window=3, batch_size=16)
    words, _ = count_words(text)
    distances, centres = Counter(), Counter()
    for batch in take(batches, 400):
        centres.update(words[c] for c in batch.centres.tolist())
        for b, c in batch.mask.nonzero().tolist():
            one, other = (words[batch.centres[b]], words[batch.contexts[b, c]])
            assert one != other and one.split("w")[0] == other.split("w")[0]
            distances[abs(int(one.split("w")[1]) - int(other.split("w")[1]))] += 1
    assert set(distances) == {1, 2, 3} and set(centres) == {w for s in text if len(s) > 1 for w in s}
    share = [distances[i] / distances[1] for i in (2, 3)]  # window 1, 2 or 3, equally often; longer ones find fewer
    assert 0.35 < share[0] < 0.6 and 0.08 < share[1] < 0.3


def test_both_neighbours_are_found_when_the_window_is_1():
    batches = windows([("a", "b", "c")], window=1, batch_size=8)
    words, _ = count_words([("a", "b", "c")])
    (batch,) = take(batches, 1)
    pairs = {(words[batch.centres[b]], words[batch.contexts[b, c]]) for b, c in batch.mask.nonzero().tolist()}
    assert pairs == {("a", "b"), ("b", "a"), ("b", "c"), ("c", "b")}
    assert batch.n_tokens == 4 and len(batch) == 3


def test_each_word_is_a_centre_once_an_epoch_and_epochs_differ():
    text = [tuple(f"s{i}w{j}" for j in range(5)) for i in range(20)]
    batches = windows(text, batch_size=10)
    found = take(batches, 20)
    first, second = (torch.cat([batch.centres for batch in some]) for some in (found[:10], found[10:]))
    assert sorted(first.tolist()) == list(range(100)) == sorted(second.tolist()) and not torch.equal(first, second)


def test_the_order_can_be_resumed_and_belongs_to_its_text():
    text = [tuple(f"w{(7 * i + j) % 23}" for j in range(9)) for i in range(30)]
    batches = windows(text, batch_size=32)
    stream = batches.forever()
    for _ in range(13):  # into the second epoch
        next(stream)
    state, expected = batches.state_dict(), [next(stream) for _ in range(12)]
    other = windows(text, batch_size=32)
    other.load_state_dict(state)
    for one, two in zip(expected, take(other, 12), strict=True):
        for name in ("centres", "contexts", "mask", "negatives"):
            assert torch.equal(getattr(one, name), getattr(two, name))
    for wrong, options in ((text[1:], {}), (text, {"batch_size": 16}), (text, {"window": 2}), (text, {"noise": 5})):
        with pytest.raises(ValueError, match="belongs to other text"):
            windows(wrong, **{"batch_size": 32} | options).load_state_dict(state)


def test_wrong_windows_are_refused():
    with pytest.raises(ValueError, match="window=0"):
        windows([("a", "b")], window=0)
    with pytest.raises(ValueError, match="no sentence has two known words"):
        windows([("a",), ("b",)])
    with pytest.raises(ValueError, match="raise subsample"):
        take(windows([("a", "b")], subsample=1e-12), 1)


# ---- training --------------------------------------------------------------------------------------------------------

TWO_WORLDS = [("red", "green", "blue", "red", "blue"), ("one", "two", "three", "two", "one")] * 60


@pytest.mark.parametrize("kind", ["skip-gram", "cbow"])
def test_words_of_one_world_come_together(kind, capsys):
    vectors = train_word2vec(TWO_WORLDS, kind=kind, d=8, window=2, subsample=None, batch_size=64, epochs=20)
    assert {w for w, _ in vectors.nearest("red", 2)} == {"green", "blue"}
    assert vectors.similarity("one", "two") > 0.5 > vectors.similarity("one", "red")
    assert vectors.history.loss[-1] < vectors.history.loss[0] and vectors.output_vectors.shape == (6, 8)
    assert not torch.equal(vectors.vectors, vectors.output_vectors) and vectors.counts.sum() == 600


def test_train_word2vec_hands_every_setting_on(monkeypatch, tmp_path):
    seen = {}

    def spy(model, batches, **settings):
        seen.update(settings, model=type(model).__name__, window=batches.window, batch_size=batches.batch_size,
                    noise=batches.noise, order=batches.seed, width=model.input.weight.shape[1])  # fmt: skip
        return History(loss=[1.0])

    monkeypatch.setattr(word2vec, "train", spy)
    given = dict(steps=7, lr=0.5, seed=3, progress=False, max_seconds=9.0, checkpoint=tmp_path / "c.pt")
    train_word2vec(TWO_WORLDS, kind="cbow", d=6, window=3, batch_size=32, noise=8, subsample=None, **given)
    assert seen.pop("objective") and seen == given | dict(
        warmup=7, clip=None, weight_decay=0.0, model="CBOW", window=3, batch_size=32, noise=8, order=3, width=6
    )
    train_word2vec(TWO_WORLDS, epochs=2, batch_size=64, subsample=None)
    assert seen["steps"] == 2 * round(600 / 64) and seen["lr"] == 2e-2


def test_training_repeats_resumes_and_leaves_other_randomness_alone(tmp_path):
    options = dict(d=4, window=2, subsample=0.1, batch_size=64, steps=12, progress=False)
    torch.manual_seed(5)
    first = train_word2vec(TWO_WORLDS, **options)
    after = torch.rand(1)
    torch.manual_seed(5)
    assert torch.equal(after, torch.rand(1))
    assert torch.equal(first.vectors, train_word2vec(TWO_WORLDS, **options).vectors)
    assert not torch.equal(first.vectors, train_word2vec(TWO_WORLDS, **options, seed=1).vectors)
    settings = {k: options[k] for k in ("d", "window", "subsample", "batch_size")}
    for stop in (5, None):  # half-way, and then from the file with a model built anew
        _, _, model, batches = build_word2vec(TWO_WORLDS, **settings)
        file = tmp_path / "run.pt"
        fit_word2vec(model, batches, steps=12, lr=2e-2, seed=0, stop_after=stop, checkpoint=file, progress=False)
    assert torch.equal(first.vectors, model.input.weight)


def test_wrong_settings_are_refused():
    with pytest.raises(ValueError, match="no kind 'glove': use 'skip-gram' or 'cbow'"):
        train_word2vec(TWO_WORLDS, kind="glove")
    with pytest.raises(ValueError, match="negatives=0"):
        train_word2vec(TWO_WORLDS, negatives=0)
    with pytest.raises(ValueError, match="n_words=1"):
        SkipGram(1, 4)


# ---- the next word ---------------------------------------------------------------------------------------------------


def next_word_model(**options):
    torch.manual_seed(0)
    return NextWordModel(9, d_embedding=4, d_hidden=5, **{"context": 3} | options).double()


def test_one_matrix_serves_every_place_and_learns_from_each():
    for combine in ("concatenate", "sum"):
        model = next_word_model(combine=combine)
        assert [tuple(p.shape) for p in model.embedding.parameters()] == [(9, 4)]
        gradients = []
        for place in range(3):
            contexts = torch.full((1, 3), 5)
            contexts[0, place] = 7
            model.zero_grad()
            model(contexts)[0, 2].backward()
            gradients.append(model.embedding.weight.grad[7].clone())
        assert all(g.abs().sum() > 0 for g in gradients)
        model.zero_grad()
        model(torch.full((1, 3), 7))[0, 2].backward()
        assert (model.embedding.weight.grad.abs().sum(1) > 0).tolist() == [row == 7 for row in range(9)]


def test_the_sum_forgets_order_and_concatenation_keeps_it():
    contexts, other = torch.tensor([[4, 6, 8]]), torch.tensor([[8, 4, 6]])
    total, beside = next_word_model(combine="sum"), next_word_model()
    assert torch.allclose(total(contexts), total(other))
    assert not torch.allclose(beside(contexts), beside(other), atol=1e-3)
    assert torch.equal(beside.features(contexts)[0, 4:8], beside.embedding.weight[6])
    assert torch.allclose(total.features(contexts)[0], beside.embedding.weight[[4, 6, 8]].sum(0))


def test_one_previous_word_is_the_same_either_way():
    concatenated, summed = (next_word_model(context=1, combine=c) for c in ("concatenate", "sum"))
    torch.testing.assert_close(concatenated(torch.tensor([[3], [4]])), summed(torch.tensor([[3], [4]])))


def test_equation_1_of_bengio():
    model = next_word_model(direct=True)
    contexts = torch.tensor([[4, 6, 8], [1, 1, 2]])
    x = torch.cat([model.embedding.weight[contexts[:, i]] for i in range(3)], dim=1)
    H, U, W = model.hidden, model.output, model.direct
    y = U.bias + x @ W.weight.T + torch.tanh(H.bias + x @ H.weight.T) @ U.weight.T
    assert torch.allclose(model(contexts), y) and y.shape == (2, 9)
    assert next_word_model().direct is None


def test_next_word_pairs_and_their_scores():
    words = Vocabulary(["a", "b"])
    contexts, targets = next_word_pairs([("a", "b"), ("c",)], words, 2)
    assert contexts.tolist() == [[BEGIN, BEGIN], [BEGIN, 4], [4, 5], [BEGIN, BEGIN], [BEGIN, UNK]]
    assert targets.tolist() == [4, 5, END, UNK, END]
    model = NextWordModel(6, 2, 2, 3)
    for parameter in model.output.parameters():
        torch.nn.init.zeros_(parameter)
    model.output.bias.data[END] = math.log(3)  # p(END) = 3/8, the others 1/8
    scores = next_word_scores(model, contexts, targets)
    expected = math.exp((2 * math.log(8) + 2 * math.log(8 / 3)) / 4)
    assert scores == {"perplexity": pytest.approx(expected), "accuracy": 0.5, "n": 4}


def test_next_word_training_learns_and_its_batches_resume():
    sentences = [("a", "b", "c"), ("b", "a", "d")] * 30
    words = Vocabulary.build(sentences)
    seed_everything(0)
    contexts, targets = next_word_pairs(sentences, words, 2)
    model, batches = NextWordModel(len(words), 8, 2, 16), NextWordBatches(contexts, targets, batch_size=50)
    train(model, batches, steps=120, lr=2e-2, warmup=10, objective=next_word_loss, progress=False)
    assert next_word_scores(model, contexts, targets)["perplexity"] < 1.3  # only the first word is open: 2^(1/4)
    stream = batches.forever()
    next(stream)
    state, expected = batches.state_dict(), [next(stream) for _ in range(7)]
    other = NextWordBatches(contexts, targets, batch_size=50)
    other.load_state_dict(state)
    assert [b.index for b in expected] == [b.index for b in take(other, 7)]
    with pytest.raises(ValueError, match="other pairs"):
        NextWordBatches(contexts, targets, batch_size=25).load_state_dict(state)


def test_wrong_next_word_input_is_refused():
    with pytest.raises(ValueError, match="combine='mean': use 'concatenate' or 'sum'"):
        NextWordModel(9, combine="mean")
    with pytest.raises(ValueError, match=r"shape \(2, 4\); this model needs \(B, 3\)"):
        next_word_model()(torch.ones(2, 4, dtype=torch.long))
    with pytest.raises(ValueError, match="context=0"):
        next_word_pairs([("a",)], Vocabulary(["a"]), 0)


# ---- what is asked of vectors ----------------------------------------------------------------------------------------


@pytest.fixture
def planted():
    """king = man + royal and so on, each of its own length, among 200 words of noise."""
    torch.manual_seed(3)
    d = 40
    part = {name: torch.randn(d) for name in ("man", "woman", "royal", "noble")}
    words = {"man": part["man"], "woman": part["woman"]}
    for title, male, female in (("royal", "king", "queen"), ("noble", "lord", "lady")):
        words[male], words[female] = 3 * (part["man"] + part[title]), 0.4 * (part["woman"] + part[title])
    words |= {f"noise{i}": torch.randn(d) for i in range(200)}
    return WordVectors(list(words), torch.stack(list(words.values())))


def test_nearest_is_what_a_loop_finds(planted):
    def cosine(a, b):
        return float(a @ b / a.norm() / b.norm())

    found = planted.nearest("king", 7)
    king = planted.vector("king")
    others = [(word, cosine(king, planted.vector(word))) for word in planted.words if word != "king"]
    by_hand = sorted(others, key=lambda pair: -pair[1])[:7]
    assert [w for w, _ in found] == [w for w, _ in by_hand]
    assert [c for _, c in found] == pytest.approx([c for _, c in by_hand], abs=1e-6)
    assert planted.similarity("king", found[0][0]) == pytest.approx(found[0][1])
    assert planted.nearest(planted.vector("king"), 1) == [("king", pytest.approx(1.0))]  # a vector excludes nothing
    assert "king" not in dict(planted.nearest(planted.vector("king"), 300, exclude=["king", "unheard"]))
    assert len(planted.nearest("king", 300)) == 205


def test_a_planted_analogy_is_found_only_without_the_words_of_the_question(planted):
    assert planted.analogy("man", "king", "woman")[0][0] == "queen"
    assert planted.analogy("king", "lord", "queen")[0][0] == "lady"
    found = [w for w, _ in planted.analogy("man", "king", "woman", k=300)]
    assert not {"man", "king", "woman"} & set(found) and len(found) == 203
    open_ended = planted.analogy("man", "king", "woman", k=300, exclude_query=False)
    assert len(open_ended) == 206 and open_ended[0][0] in ("king", "woman", "queen")
    unit = planted.unit
    offset = unit[planted.row("king")] - unit[planted.row("man")] + unit[planted.row("woman")]
    assert torch.allclose(planted.offset("man", "king", "woman"), offset)


def test_analogy_accuracy_counts_what_analogy_answers(planted):
    questions = {"people": [("man", "king", "woman", "queen"), ("king", "lord", "queen", "lady"),
                            ("man", "king", "woman", "noise1"), ("man", "king", "woman", "unheard")],
                 "nothing": [("x", "y", "z", "u")]}  # fmt: skip
    found = analogy_accuracy(planted, questions)
    assert found["people"] == (2, 3, 4) and found["people"].share == pytest.approx(2 / 3)
    assert found["nothing"] == (0, 0, 1) and math.isnan(found["nothing"].share)
    assert analogy_accuracy(planted, questions, limit=1)["people"] == (1, 1, 1)
    allowed = sum(planted.analogy(*q[:3], exclude_query=False)[0][0] == q[3] for q in questions["people"][:3])
    assert analogy_accuracy(planted, questions, exclude_query=False)["people"].right == allowed
    itself = planted.analogy("noise0", "man", "woman", exclude_query=False)[0][0]
    assert itself in ("man", "woman")  # so that the answer may not be a word of the question, unless that is allowed
    trick = {"trick": [("noise0", "man", "woman", itself)]}
    assert analogy_accuracy(planted, trick)["trick"].right == 0
    assert analogy_accuracy(planted, trick, exclude_query=False)["trick"].right == 1


def test_similarity_correlation_is_by_rank_and_over_known_pairs():
    angles = torch.tensor([0.0, 0.1, 0.5, 1.4])
    vectors = WordVectors("abcd", torch.stack([angles.cos(), angles.sin()], 1) * torch.tensor([[1.0], [5], [2], [1]]))
    pairs = [("a", "b", 9.0), ("a", "x", 0.0), ("a", "c", 8.9), ("a", "d", 1.0)]
    assert similarity_correlation(vectors, pairs) == Correlation(pytest.approx(1.0), 3, 4)
    swapped = [("a", "b", 8.0), ("a", "c", 9.0), ("a", "d", 1.0)]
    assert similarity_correlation(vectors, swapped).rho == pytest.approx(0.5)
    with pytest.raises(ValueError, match="only 2 of 2 pairs"):
        similarity_correlation(vectors, pairs[:1] + pairs[3:])


def test_label_agreement_against_chance():
    vectors = WordVectors("abcdef", torch.eye(2).repeat_interleave(3, 0) + 0.01 * torch.arange(12).view(6, 2))
    labels = dict(zip("abcdef", "xxxyyy", strict=True))
    assert label_agreement(vectors, labels, k=2) == (1.0, pytest.approx(2 * 3 * 2 / (6 * 5)))
    mixed = dict(zip("abcdef", "xyxyxy", strict=True))
    assert label_agreement(vectors, mixed, k=2)[0] == pytest.approx((1 + 0 + 1 + 1 + 0 + 1) / 12)
    with pytest.raises(ValueError, match="more than 5 are needed"):
        label_agreement(vectors, {"a": "x"})


def test_unknown_words_and_odd_shapes_get_a_sentence(planted):
    with pytest.raises(ValueError, match=r"the word 'kings' has no vector .*; did you mean 'king'"):
        planted.vector("kings")
    with pytest.raises(ValueError, match="no known word is spelt alike"):
        planted.similarity("king", "xyzzy")
    with pytest.raises(ValueError, match="here a vector has 40 numbers"):
        planted.nearest(torch.zeros(3))
    with pytest.raises(ValueError, match="k=0"):
        planted.nearest("king", 0)
    with pytest.raises(ValueError, match="2 words need as many rows"):
        WordVectors(["a", "b"], torch.zeros(3, 2))
    with pytest.raises(ValueError, match="stands twice"):
        WordVectors(["a", "a"], torch.zeros(2, 2))
    with pytest.raises(ValueError, match="came without output vectors"):
        planted.outputs()
