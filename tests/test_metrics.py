"""Scores and alignment error rates, against figures worked out by hand."""

import math

import pytest
import torch
from tiny_models import Table, copy_task

from course_utils.corpora.pair import Pair
from course_utils.metrics import (
    BLEU_SIGNATURE,
    Scores,
    alignment_error_rate,
    bleu,
    by_bucket,
    evaluate,
    exact_match,
    forced_alignment,
    forced_attention,
    oracle_alignment_error_rate,
    perplexity,
    sure_mass,
    token_accuracy,
    token_nll,
)
from course_utils.text.vocabulary import END, PAD, Vocabulary
from course_utils.training import train

pytestmark = pytest.mark.filterwarnings("error")


# ---- scores of outputs -----------------------------------------------------------------------------------------------


def test_exact_match_and_token_accuracy():
    references = [["a", "b", "<end>"], ["a", "b", "<end>"], ["c", "<end>"], ["a", "b", "<end>"]]
    outputs = [["a", "b", "<end>"], ["b", "<end>"], ["c", "c", "c"], ["a", "b"]]
    assert exact_match(outputs, references) == 1 / 4  # one shifted, one without END, one cut short
    assert token_accuracy(outputs, references) == (3 + 0 + 1 + 2) / (3 + 3 + 2 + 3)
    with pytest.raises(ValueError, match="4 outputs for 3"):
        exact_match(outputs, references[:3])
    with pytest.raises(ValueError, match="no sentence"):
        token_accuracy([], [])


def test_bleu_by_hand():
    """Precisions 5/6, 3/5, 1/4, and for 4-grams 0 of 3, which `smooth:exp` counts as 1/2 of 3; no brevity penalty."""
    output, reference = "the cat sat on the mat".split(), "the cat is on the mat".split()
    expected = 100 * (5 / 6 * 3 / 5 * 1 / 4 * 1 / 6) ** 0.25
    assert bleu([output], [reference]) == pytest.approx(expected)
    short = "a b c d".split()
    assert bleu([short], [[*short, "e", "f"]]) == pytest.approx(100 * math.exp(1 - 6 / 4))  # brevity penalty alone
    assert bleu([short], [short]) == pytest.approx(100) and bleu([[]], [short]) == 0


def test_bleu_takes_the_tokens_as_they_are():
    output, reference = "we eat at 10:30 in l' hôtel".split(), "we eat at 10:45 in l' hôtel".split()
    expected = (
        100 * (6 / 7 * 4 / 6 * 2 / 5 * (1 / 2) / 4) ** 0.25
    )  # one wrong word; sacrebleu's own would see two right
    assert bleu([output], [reference]) == pytest.approx(expected)


def test_bleu_is_the_corpuss_not_the_mean_of_sentences():
    outputs, references = [list("abcdefgh"), list("wxyz")], [list("abcdefgh"), list("wxyq")]
    pooled = [11 / 12, 9 / 10, 7 / 8, 5 / 6]  # 8+3 of 12 words, 7+2 of 10 pairs, 6+1 of 8, 5+0 of 6
    assert bleu(outputs, references) == pytest.approx(100 * math.prod(pooled) ** 0.25)


def test_bleu_signature_and_no_warning(capfd, caplog):
    from sacrebleu.metrics import BLEU

    sentences = [["l'", "eau", "n'", "est", "pas", "là", "."]] * 200  # sacrebleu warns of tokenised full stops
    assert bleu(sentences, sentences) == pytest.approx(100)
    assert capfd.readouterr() == ("", "") and not caplog.records
    metric = BLEU(tokenize="none", force=True)
    metric.corpus_score(["a"], [["a"]])
    assert str(metric.get_signature()).startswith(BLEU_SIGNATURE + "|version:")


def test_perplexity_weighs_tokens_not_batches():
    assert perplexity(0.0, 5) == 1 and perplexity(10 * math.log(4), 10) == pytest.approx(4)
    nll, tokens = [1 * 6.0, 99 * 2.0], [1, 99]  # a batch of one hard token beside one of 99 easy ones
    right = perplexity(sum(nll), sum(tokens))
    assert right == pytest.approx(math.exp(2.04))
    assert right < 8 < math.exp((6 + 2) / 2) < 55  # the mean of batch means gives 55 instead of 7.7
    assert perplexity(1e6, 10) == math.inf
    with pytest.raises(ValueError, match="n_tokens=0"):
        perplexity(0.0, 0)


def test_token_nll_sums_over_real_tokens():
    logits = torch.randn(2, 3, 6, dtype=torch.float64)
    target = torch.tensor([[4, END, PAD], [5, 4, END]])
    by_hand = -sum(logits[b, t].log_softmax(-1)[target[b, t]] for b, t in [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2)])
    assert token_nll(logits, target) == pytest.approx(float(by_hand))


# ---- a whole evaluation ----------------------------------------------------------------------------------------------


def table_task():
    """A model with fixed answers: two sentences right, one wrong in its second word, one without END."""
    vocab = Vocabulary(["A", "B", "C"])
    source_vocab = Vocabulary(["a", "b", "c", "d"])
    answers = {4: [4, END], 5: [4, 5, END], 6: [4, 4, END], 7: [6]}
    pairs = [
        Pair(("b", "b", "b"), ("A", "B")), Pair(("a",), ("A",)), Pair(("c", "c"), ("A", "B")), Pair(("d",), ("C",)),
    ]  # fmt: skip
    return Table(len(vocab), answers, sure=2.0), pairs, source_vocab, vocab


@pytest.mark.parametrize("batch_size", [1, 3, 256])
def test_evaluate_by_hand(batch_size):
    scores = evaluate(*table_task(), batch_size=batch_size)
    yes, no = (torch.tensor([2.0] + [0.0] * 6).log_softmax(0)[i].item() for i in (0, 1))
    nll = -(8 * yes + 2 * no)  # 3 + 2 + 3 + 2 = 10 tokens; wrong: the B of the third sentence, the END of the fourth
    assert scores.n == 4 and scores.exact_match == 2 / 4
    assert scores.token_accuracy == pytest.approx((3 + 2 + 2 + 1) / 10)
    assert scores.perplexity == pytest.approx(math.exp(nll / 10), rel=1e-6)
    outputs = [["A", "B"], ["A"], ["A", "A"], ["C"] * 12]  # the fourth runs to its cap of 2 * 1 + 10
    assert scores.bleu == pytest.approx(bleu(outputs, [["A", "B"], ["A"], ["A", "B"], ["C"]]))
    assert scores.as_dict()["n"] == 4


def test_a_reference_outside_the_vocabulary_cannot_be_met():
    model, _, source_vocab, vocab = table_task()
    model.answers[4] = [3, END]  # says <unk>
    scores = evaluate(model, [Pair(("a",), ("zebra",))], source_vocab, vocab)
    assert scores.exact_match == 0 and scores.token_accuracy == 1 / 2  # END alone


def test_an_output_that_the_cap_cut_is_no_exact_match():
    model, _, source_vocab, vocab = table_task()  # on "d" it says C until its cap of 12
    scores = evaluate(model, [Pair(("d",), ("C",) * 12)], source_vocab, vocab)
    assert scores.exact_match == 0 and scores.token_accuracy == pytest.approx(12 / 13)


def test_evaluate_leaves_the_model_as_it_was_and_uses_evaluation_mode():
    model, batches, pairs, source_vocab, target_vocab = copy_task(dropout=0.5)
    train(model, batches, steps=30, warmup=10, lr=1e-2, progress=False)
    expected = evaluate(model, pairs, source_vocab, target_vocab)
    model.train()
    assert evaluate(model, pairs, source_vocab, target_vocab) == expected and model.training
    forced = forced_attention(model, pairs, source_vocab, target_vocab)
    model.eval()
    again = forced_attention(model, pairs, source_vocab, target_vocab)
    assert all(a.equal(b) and not a.requires_grad for a, b in zip(forced, again, strict=True))


def test_by_bucket():
    model, pairs, source_vocab, vocab = table_task()
    scores = by_bucket(model, {"right": pairs[:2], "wrong": pairs[2:]}, source_vocab, vocab)
    assert {label: s.exact_match for label, s in scores.items()} == {"right": 1.0, "wrong": 0.0}
    assert isinstance(scores["right"], Scores)
    with pytest.raises(ValueError, match="no sentence pairs"):
        by_bucket(model, {"none": []}, source_vocab, vocab)


# ---- alignments ------------------------------------------------------------------------------------------------------

GOLD = [
    # 3 target words; sure 0-0, 1-2; possible also 2-1 and 2-2
    Pair(
        ("x", "y", "z"),
        ("u", "v", "w"),
        sure=frozenset({(0, 0), (1, 2)}),
        possible=frozenset({(0, 0), (1, 2), (2, 1), (2, 2)}),
    ),
    # 2 target words; sure 0-0, 1-0 (two source words, one target word); word 1 aligned to nothing
    Pair(("x", "y"), ("u", "v"), sure=frozenset({(0, 0), (1, 0)}), possible=frozenset({(0, 0), (1, 0)})),
]


def test_alignment_error_rate_by_hand():
    links = [{(0, 0), (2, 1), (2, 2)}, {(1, 0), (0, 1)}]
    # A∩S: 0-0 | 1-0 -> 2;  A∩P: 0-0, 2-1, 2-2 | 1-0 -> 4;  |A| = 5;  |S| = 4
    assert alignment_error_rate(links, GOLD) == pytest.approx(1 - (2 + 4) / (5 + 4))
    assert alignment_error_rate([pair.sure for pair in GOLD], GOLD) == 0
    assert alignment_error_rate([pair.possible for pair in GOLD], GOLD) == 0  # a possible link costs nothing
    assert alignment_error_rate([set(), set()], GOLD) == 1
    first, second = (alignment_error_rate([a], [p]) for a, p in zip(links, GOLD, strict=True))
    assert alignment_error_rate(links, GOLD) != pytest.approx((first + second) / 2)  # the corpus's, not a mean


def test_oracle_by_hand_and_by_trying_everything():
    # best: sure, possible, sure | sure, nothing -> A∩S = 3, A∩P = 4, |A| = 5, |S| = 4
    assert oracle_alignment_error_rate(GOLD) == pytest.approx(1 - 7 / 9)
    from itertools import product

    def every(pair):
        for choice in product(range(len(pair.source)), repeat=len(pair.target)):
            yield {(i, j) for j, i in enumerate(choice)}

    best = min(alignment_error_rate([a, b], GOLD) for a in every(GOLD[0]) for b in every(GOLD[1]))
    assert oracle_alignment_error_rate(GOLD) == pytest.approx(best)


def test_forced_alignment_takes_the_largest_weight_of_each_target_word():
    """Step t of the table model attends to source position t, or to the last; END's link is left out."""
    model, pairs, source_vocab, vocab = table_task()
    pairs[3] = Pair(("d",), ("C", "A"))
    assert forced_alignment(model, pairs, source_vocab, vocab, batch_size=3) == [
        {(0, 0), (1, 1)},
        {(0, 0)},
        {(0, 0), (1, 1)},
        {(0, 0), (0, 1)},
    ]
    maps = forced_attention(model, pairs, source_vocab, vocab)
    assert [tuple(m.shape) for m in maps] == [(2, 3), (1, 1), (2, 2), (2, 1)]


def test_forced_alignment_is_forced_and_one_call_a_batch(monkeypatch):
    model, pairs, source_vocab, vocab = table_task()
    calls, forward = [], type(model).forward
    monkeypatch.setattr(
        type(model), "forward", lambda self, *a, **k: calls.append(a[1].tolist()) or forward(self, *a, **k)
    )
    forced_alignment(model, pairs, source_vocab, vocab, batch_size=2)
    assert len(calls) == 2 and calls[1][1] == [1, 4, 5]  # BEGIN A B: the right words, not the model's


def test_trained_attention_finds_the_diagonal():
    model, batches, pairs, source_vocab, target_vocab = copy_task()
    train(model, batches, steps=300, warmup=10, lr=1e-2, progress=False)
    links = forced_alignment(model, pairs, source_vocab, target_vocab)
    assert alignment_error_rate(links, pairs) < 0.1
    shifted = [{(i, (j + 1) % len(p.target)) for i, j in a} for a, p in zip(links, pairs, strict=True)]
    assert alignment_error_rate(shifted, pairs) > 0.5
    assert oracle_alignment_error_rate(pairs) == 0
    mass = sure_mass(forced_attention(model, pairs, source_vocab, target_vocab), pairs)
    assert 0.5 < mass < 1


def test_sure_mass_by_hand():
    maps = [
        torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8], [0.2, 0.6, 0.2]]),
        torch.tensor([[0.3, 0.7], [0.5, 0.5]]),
    ]
    # words with a sure link: u (0.5), w (0.6) | u (0.3 + 0.7, both its links)
    assert sure_mass(maps, GOLD) == pytest.approx((0.5 + 0.6 + 1.0) / 3)


def test_alignment_errors():
    bare = [Pair(("x",), ("u",))]
    for call in (lambda: alignment_error_rate([set()], bare), lambda: oracle_alignment_error_rate(bare)):
        with pytest.raises(ValueError, match="none of the 1 pairs has a sure link"):
            call()
    with pytest.raises(ValueError, match="1 alignments for 2 pairs"):
        alignment_error_rate([set()], GOLD)
    with pytest.raises(ValueError, match=r"link \(0, 3\) points outside"):
        alignment_error_rate([{(0, 3)}, set()], GOLD)
    model, pairs, source_vocab, vocab = table_task()
    model.forward = lambda source, target_in, need_weights: (None, None)
    with pytest.raises(ValueError, match="Table has no attention"):
        forced_alignment(model, pairs, source_vocab, vocab)
