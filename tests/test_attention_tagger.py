"""The self-attention tagger: what it may see, where order gets in and where it does not, pads, the bag's ceiling."""

import pytest
import torch

from course_utils.attention.positions import LAYOUTS
from course_utils.corpora.mini import load_split
from course_utils.corpora.pair import Pair
from course_utils.models.attention_tagger import POSITIONS, AttentionTagger, bag_ceiling
from course_utils.models.tagger import (
    LabelBatches,
    ambiguous_words,
    labelled,
    per_word_ceiling,
    predict,
    tag_scores,
)
from course_utils.seq2seq import transformer
from course_utils.text.vocabulary import PAD, Vocabulary
from course_utils.training import train

SENTENCES = [
    Pair(tuple(words.split()), tuple(tags.split()))
    for words, tags in (
        ("we see her .", "PRON VERB PRON PUNCT"),
        ("we see her fish .", "PRON VERB DET NOUN PUNCT"),
        ("her fish see her .", "DET NOUN VERB PRON PUNCT"),
        ("the cook sleeps .", "DET NOUN VERB PUNCT"),
        ("we cook the fish .", "PRON VERB DET NOUN PUNCT"),
    )
]
WORDS, TAGS = (Vocabulary.build(getattr(s, side) for s in SENTENCES) for side in ("source", "target"))
AMBIGUOUS = ambiguous_words(SENTENCES)
ORDER = torch.tensor([3, 0, 4, 2, 1, 5])
ROW = torch.tensor([[4, 5, 6, 7, 8, 9]])


def tagger(**options) -> AttentionTagger:
    torch.manual_seed(0)
    return AttentionTagger(len(WORDS), len(TAGS), **(dict(d_model=8, n_heads=2, n_layers=2) | options)).double().eval()


def moved(model: AttentionTagger) -> torch.Tensor:
    """How far each word's logits move when the words before the last are shuffled. (6,)"""
    return (model(ROW[:, ORDER])[0] - model(ROW)[0, ORDER]).abs().amax(-1)


def test_the_names_are_those_of_the_transformer():
    assert set(POSITIONS) == set(transformer.POSITIONS)


@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("n_layers", [1, 2, 3])
def test_without_positions_the_tags_follow_the_words(n_layers, norm):
    assert moved(tagger(n_layers=n_layers, norm=norm)).max() < 1e-12


@pytest.mark.parametrize("positions", [p for p in POSITIONS if p != "none"])
def test_with_positions_they_do_not(positions):
    assert moved(tagger(positions=positions)).min() > 1e-6


def test_a_causal_mask_lets_order_in_one_layer_late():
    """One layer: the last word still sees the same bag. Two: it looks at words that saw other bags."""
    one, two = moved(tagger(causal=True, n_layers=1)), moved(tagger(causal=True))
    assert one[-1] < 1e-12 and one[:-1].max() > 1e-6
    assert two[-1] > 1e-6


@pytest.mark.parametrize("causal", [False, True])
def test_what_a_word_sees(causal):
    model, seen = tagger(causal=causal), set()
    for place in range(6):
        other = ROW.clone()
        other[0, place] = 10
        if (model(other) - model(ROW))[0, 3].abs().max() > 1e-9:
            seen.add(place)
    assert seen == (set(range(4)) if causal else set(range(6)))


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("positions", POSITIONS)
def test_pads_and_neighbours_change_nothing(positions, causal):
    model, rows = tagger(positions=positions, causal=causal), [[4, 5, 6, 7, 8], [9], [10, 11, 4]]
    width = 9
    together = model(torch.tensor([row + [PAD] * (width - len(row)) for row in rows]))
    for row, logits in zip(rows, together, strict=True):
        torch.testing.assert_close(logits[: len(row)], model(torch.tensor([row]))[0], rtol=0, atol=1e-12)


def test_maps():
    model = tagger()
    source = torch.tensor([[4, 5, 6, 7], [8, 9, PAD, PAD]])
    maps = model.maps(source)
    assert maps.shape == (2, 2, 2, 4, 4) and not maps[:, 1, :, :, 2:].any()
    torch.testing.assert_close(maps.sum(-1), torch.ones(2, 2, 2, 4, dtype=torch.float64))
    late = torch.ones(4, 4, dtype=torch.bool).triu(1)
    assert not tagger(causal=True).maps(source)[..., late].any()
    assert torch.equal(model(source, torch.zeros(2, 4, dtype=torch.long)), model(source))


def test_parameters_do_not_grow_with_fixed_positions():
    sizes = {p: sum(x.numel() for x in tagger(positions=p).parameters()) for p in POSITIONS}
    for same in ("sinusoidal", "sinusoidal_halves", "rotary", "alibi"):
        assert sizes[same] == sizes["none"]
    assert sizes["learned"] == sizes["none"] + 64 * 8 and sizes["shaw"] > sizes["none"]


@pytest.mark.parametrize("positions", ["none", "sinusoidal", "learned"])
def test_training_reaches_the_ceiling_of_its_kind(positions):
    """Blind to order: exactly the bag's ceiling, since "her fish see her" needs two labels for one bag's "her"."""
    torch.manual_seed(0)
    model = AttentionTagger(len(WORDS), len(TAGS), d_model=16, n_heads=2, n_layers=2, positions=positions)
    train(model, LabelBatches(SENTENCES, WORDS, TAGS, 5), steps=150, lr=0.02, warmup=10, progress=False)
    scores = tag_scores(predict(model, SENTENCES, WORDS, TAGS), SENTENCES, AMBIGUOUS)
    ceiling = bag_ceiling(SENTENCES, AMBIGUOUS)
    assert per_word_ceiling(SENTENCES, AMBIGUOUS).accuracy < ceiling.accuracy < 1
    assert scores.accuracy == (ceiling.accuracy if positions == "none" else 1)


def test_the_bag_ceiling_is_the_best_of_all_tables_over_bags():
    sentences = [SENTENCES[i] for i in (0, 2)] + [
        Pair(("her", "see", "fish", "her", "."), SENTENCES[1].target),
        Pair(("her", "see", "fish", "."), ("NOUN", "NOUN", "VERB", "PUNCT")),  # the same words, another bag
    ]
    keys = sorted({(tuple(sorted(s.source)), w) for s in sentences for w in s.source})
    labels = sorted({label for s in sentences for label in s.target})
    right = {key: [0] * len(labels) for key in keys}
    for s in sentences:
        for word, label in zip(s.source, s.target, strict=True):
            right[tuple(sorted(s.source)), word][labels.index(label)] += 1
    best = sum(max(counts) for counts in right.values())                      # every key chooses by itself
    n = sum(len(s.source) for s in sentences)
    assert bag_ceiling(sentences, ()).accuracy == best / n < 1
    shuffled = [Pair(s.source[::-1], s.target[::-1]) for s in sentences]
    assert bag_ceiling(shuffled, AMBIGUOUS) == bag_ceiling(sentences, AMBIGUOUS)


def test_the_ceiling_of_the_corpus():
    sentences = labelled(load_split("valid"))
    ambiguous = ambiguous_words(labelled(load_split("train")))
    scores = bag_ceiling(sentences, ambiguous)
    assert (scores.n, scores.n_ambiguous) == (10_084, 817)
    assert scores.accuracy_ambiguous == pytest.approx(0.98776, abs=1e-5)


def test_the_last_norm_and_the_layout_are_used():
    pre, post = tagger(), tagger(norm="post")
    with torch.no_grad():
        pre.norm.weight.zero_()
        pre.norm.bias.zero_()
    torch.testing.assert_close(pre(ROW)[0], pre.output.bias.expand(6, -1))
    assert not list(post.norm.parameters())
    assert [tagger(positions=p).positions.layout for p in ("sinusoidal", "sinusoidal_halves")] == list(LAYOUTS)


def test_wrong_arguments_are_refused():
    for do, said in {
        "positions": (lambda: tagger(positions="polar"), "'rotary'"),
        "heads": (lambda: tagger(n_heads=3), "d_model=8"),
        "layers": (lambda: tagger(n_layers=0), "n_layers"),
        "norm": (lambda: tagger(norm="batch"), "'pre', 'post'"),
        "length": (lambda: tagger(positions="learned", max_length=4)(ROW), "max_length=4"),
        "gap": (lambda: tagger()(torch.tensor([[4, PAD, 5]])), "after a pad"),
        "odd width": (lambda: tagger(d_model=9, n_heads=3, positions="sinusoidal"), "even"),
    }.values():
        with pytest.raises(ValueError) as error:
            do()
        assert said in str(error.value), said


def test_equal_weights_are_a_plain_mean():
    """The control: every word of the sentence weighs the same, pads nothing; order and queries change nothing."""
    model = tagger(n_layers=1, n_heads=1, equal=True)
    row = torch.tensor([[4, 5, 6, 7, PAD, PAD]])
    maps = model.maps(row)[0, 0, 0]
    assert torch.allclose(maps[:4, :4], torch.full((4, 4), 0.25, dtype=torch.float64)) and not maps[:, 4:].any()
    before = model(row)
    with torch.no_grad():
        model.blocks[0].attention.in_proj.weight[:16].normal_()               # queries and keys
    assert torch.equal(model(row), before)
    with pytest.raises(ValueError, match="leaves no score"):
        tagger(equal=True, positions="rotary")
