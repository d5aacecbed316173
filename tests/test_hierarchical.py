"""HAN and its controls: pads of both kinds, neighbours, loops, formulas, empty documents, batches, gradients."""

import pytest
import torch

from course_utils.experiments.nb11.faults import FCAttention, with_bounded_scores
from course_utils.models.hierarchical import (
    DocumentBatches,
    FlatAttention,
    HierarchicalAttention,
    Level,
    accuracy,
    class_loss,
    pad_documents,
)
from course_utils.text.vocabulary import PAD, Vocabulary
from course_utils.training import train

WORDS, CLASSES = 12, 3
DOCUMENTS = [[[4, 5, 6], [7, 8], [9]], [[10]], [[11, 4, 4, 5, 6], [6, 5]], [[5, 7, 9, 11], [4], [8, 8], [10, 6, 5]]]
SIZES = dict(n_words=WORDS, n_classes=CLASSES, d_embedding=4, d_hidden=3, d_attention=5)


def drawn(kind, **options):
    """With biases that are not 0: else a GRU that runs over pads stays where it is."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        model = kind(**SIZES, **options).double().eval()
        for name, parameter in model.named_parameters():
            if "bias" in name:
                parameter.normal_(std=0.5)
        return model


POOLS = ("mean", "max", "gate", "attention")
MODELS = (
    {f"HAN {p}": lambda p=p: drawn(HierarchicalAttention, pooling=(p, p)) for p in POOLS}
    | {f"flat {p}": lambda p=p: drawn(FlatAttention, pooling=p) for p in POOLS}
    | {"HAN without GRUs": lambda: drawn(HierarchicalAttention, encoder=("none", "none")),
       "flat without GRU": lambda: drawn(FlatAttention, encoder="none")}
)  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
@torch.no_grad()
def test_a_document_alone_and_in_a_batch(name):
    """Neighbours, pads behind sentences and behind documents, and a much longer neighbour change nothing."""
    model = MODELS[name]()
    together = model(pad_documents(DOCUMENTS))
    longer = model(pad_documents([*DOCUMENTS, [[4] * 9] * 7]))[:-1]
    for k, document in enumerate(DOCUMENTS):
        torch.testing.assert_close(model(pad_documents([document]))[0], together[k], rtol=0, atol=1e-12)
    torch.testing.assert_close(longer, together, rtol=0, atol=1e-12)
    order = [2, 0, 3, 1]
    torch.testing.assert_close(model(pad_documents([DOCUMENTS[k] for k in order])), together[order])


@pytest.mark.parametrize("name", MODELS)
@torch.no_grad()
def test_pads_and_empty_sentences_are_skipped_wherever_they_stand(name):
    model = MODELS[name]()
    tidy = pad_documents([[[4, 5, 6], [7, 8]]])
    gaps = torch.tensor([[[PAD] * 4, [4, PAD, 5, 6], [PAD] * 4, [PAD, 7, 8, PAD]]])
    torch.testing.assert_close(model(gaps), model(tidy), rtol=0, atol=1e-12)
    for weights in model.read(gaps)[1:]:
        assert not (weights[0, [0, 2]]).any()
    loud = model.embedding.weight
    loud[PAD] = 50.0                                                         # even if the pad had a vector
    torch.testing.assert_close(model(gaps), model(tidy), rtol=0, atol=1e-12)


@torch.no_grad()
def test_every_word_and_every_sentence_counts_and_order_does():
    model, ids = MODELS["HAN attention"](), pad_documents(DOCUMENTS)
    before = model(ids)
    for b, s, t in (ids != PAD).nonzero().tolist():
        other = ids.clone()
        other[b, s, t] = 4 + (ids[b, s, t] - 3) % 8
        moved = (model(other) - before).abs().amax(1)
        assert moved[b] > 1e-9 and moved.sum() == moved[b]
    assert (model(ids[:1, [2, 0, 1]]) - before[:1]).abs().max() > 1e-9
    without = drawn(HierarchicalAttention, encoder=("none", "none"))         # without GRUs: a bag of bags
    bags = torch.tensor([[[PAD, 7, 8], [6, 4, 5], [9, PAD, PAD]]])
    torch.testing.assert_close(without(bags), without(ids[:1, :3, :3]))


@torch.no_grad()
def test_the_formulas_sentence_by_sentence():
    """A loop over sentences with torch's own GRU, one sentence and one document at a time."""
    model = MODELS["HAN attention"]()

    def look(level, x):                                                      # (T, d) -> (D,), (T,)
        h = level.encoder.rnn(x.unsqueeze(0))[0][0]
        pool = level.pool.look
        a = (torch.tanh(h @ pool.key.weight.T + pool.key.bias) @ pool.query[0]).softmax(0)
        return a @ h, a

    ids = pad_documents(DOCUMENTS)
    logits, of_words, of_sentences = model.read(ids)
    for b, document in enumerate(DOCUMENTS):
        found = [look(model.words, model.embedding.weight[sentence]) for sentence in document]
        v, a = look(model.sentences, torch.stack([vector for vector, _ in found]))
        torch.testing.assert_close(logits[b], model.output(v))
        torch.testing.assert_close(of_sentences[b, : len(document)], a)
        for s, (_, weights) in enumerate(found):
            torch.testing.assert_close(of_words[b, s, : len(weights)], weights)
    torch.testing.assert_close(of_words.sum(-1), (ids != PAD).any(-1).double())
    torch.testing.assert_close(of_sentences.sum(-1), torch.ones(4, dtype=torch.float64))
    assert of_words[1, 0, 0] == 1 and of_sentences[1, 0] == 1                # one word, one sentence
    assert all(map(torch.equal, model.maps(ids), (of_words, of_sentences)))


@torch.no_grad()
def test_flat_reads_one_row_and_sees_no_sentences():
    model, ids = MODELS["flat attention"](), pad_documents(DOCUMENTS)
    logits, weights = model.read(ids)
    assert weights.shape == ids.shape and not weights[ids == PAD].any()
    torch.testing.assert_close(weights.sum((1, 2)), torch.ones(4, dtype=torch.float64))
    one_row = pad_documents([[[word for sentence in document for word in sentence]] for document in DOCUMENTS])
    torch.testing.assert_close(model(one_row), logits)
    torch.testing.assert_close(model.read(one_row)[1][0, 0, :6], weights[0][ids[0] != PAD])


@pytest.mark.parametrize("name", MODELS)
def test_an_empty_document_is_defined_and_gradients_are_finite(name):
    model = MODELS[name]()
    ids = pad_documents([DOCUMENTS[0], [], [[], []]])
    logits = model(ids)
    torch.testing.assert_close(logits[1:], model.output.bias.detach().expand(2, -1))
    assert not any(weights[1:].any() for weights in model.read(ids)[1:])
    logits.square().sum().backward()
    for parameter in model.parameters():
        assert parameter.grad is None or parameter.grad.isfinite().all()
    torch.testing.assert_close(model(pad_documents([[], []])), model.output.bias.expand(2, -1))


def test_every_parameter_learns_and_the_pad_does_not():
    model = MODELS["HAN attention"]()
    class_loss(model, next(DocumentBatches(DOCUMENTS_AS_WORDS, [0, 1, 2, 0], VOCABULARY, 4).once())).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad.abs().max() > 1e-12, name
    assert not model.embedding.weight.grad[PAD].any()


@torch.no_grad()
def test_dropout_is_for_training_only():
    model = drawn(HierarchicalAttention, dropout=0.5)
    ids = pad_documents(DOCUMENTS)
    assert torch.equal(model(ids), model(ids)) and not torch.equal(model.train()(ids), model(ids))


VOCABULARY = Vocabulary("abcdefgh")
DOCUMENTS_AS_WORDS = [[["abcdefgh"[i - 4] for i in sentence] for sentence in document] for document in DOCUMENTS]


def test_batches():
    batches = DocumentBatches(DOCUMENTS_AS_WORDS, [0, 1, 2, 0], VOCABULARY, batch_size=2, seed=3)
    first, second = list(batches.once())
    assert torch.equal(first.documents, pad_documents(DOCUMENTS[:2])) and second.labels.tolist() == [2, 0]
    assert first.documents.shape == (2, 3, 3) and first.n_tokens == len(first) == 2
    stream = batches.forever()
    drawn_rows = [next(stream).index for _ in range(4)]
    assert sorted(sum(drawn_rows[:2], [])) == sorted(sum(drawn_rows[2:], [])) == [0, 1, 2, 3]
    single = DocumentBatches(DOCUMENTS_AS_WORDS * 2, [0, 1, 2, 0] * 2, VOCABULARY, batch_size=1).forever()
    orders = [[next(single).index[0] for _ in range(8)] for _ in range(3)]
    assert len(set(map(tuple, orders))) == 3                                 # every epoch another order
    again = DocumentBatches(DOCUMENTS_AS_WORDS, [0, 1, 2, 0], VOCABULARY, batch_size=2, seed=3)
    again.load_state_dict(batches.state_dict() | {"drawn": 2})
    assert next(again.forever()).index == drawn_rows[2]
    other = DocumentBatches(DOCUMENTS_AS_WORDS, [0, 1, 2, 1], VOCABULARY, batch_size=2, seed=3)
    with pytest.raises(ValueError, match="other documents"):
        other.load_state_dict(batches.state_dict())


def test_it_learns_a_class_that_one_sentence_decides():
    """The class is the word behind "a" ("b" or "c"), in whichever sentence that stands."""
    rng = torch.Generator().manual_seed(0)
    documents, labels = [], []
    for k in range(40):
        some = [[("d", "e")[k % 2], "bc"[int(i)]] for i in torch.randint(2, (3,), generator=rng)]
        label = int(torch.randint(2, (1,), generator=rng))
        place = int(torch.randint(4, (1,), generator=rng))
        documents.append([*some[:place], ["a", "bc"[label]], *some[place:]])
        labels.append(label)
    batches = DocumentBatches(documents, labels, VOCABULARY, 20)
    torch.manual_seed(0)
    model = HierarchicalAttention(WORDS, 2, 8, 8, 8)
    train(model, batches, steps=80, lr=0.02, warmup=5, objective=class_loss, progress=False)
    assert accuracy(model, batches) == 1
    places = torch.tensor([next(s for s, x in enumerate(document) if x[0] == "a") for document in documents])
    weights = model.maps(next(DocumentBatches(documents, labels, VOCABULARY, 40).once()).documents)[1]
    assert (weights.argmax(1) == places).double().mean() > 0.9


def test_wrong_arguments_are_refused():
    for do, said in {
        "pooling": (lambda: drawn(HierarchicalAttention, pooling=("sum", "max")), "unknown pooling 'sum'"),
        "encoder": (lambda: Level(3, 3, 3, encoder="lstm"), "'gru', 'none'"),
        "shape": (lambda: MODELS["HAN mean"]()(torch.tensor([[4, 5]])), "(B, sentences, words)"),
        "type": (lambda: MODELS["flat mean"]()(torch.zeros(1, 2, 3)), "torch.float32"),
        "labels": (lambda: DocumentBatches(DOCUMENTS_AS_WORDS, [0], VOCABULARY), "4 documents and 1 labels"),
        "batch": (lambda: DocumentBatches(DOCUMENTS_AS_WORDS, [0] * 4, VOCABULARY, 5), "use 1 to 4"),
        "nothing": (lambda: pad_documents([]), "an empty batch"),
    }.values():
        with pytest.raises(ValueError) as error:
            do()
        assert said in str(error.value), said


# ---- what public code calls attention --------------------------------------------------------------------------------


@torch.no_grad()
def test_fc_attention_is_a_matrix_over_places_for_every_feature():
    block = FCAttention(5).double()
    x = torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    out, weights = block(x)
    for b in range(2):
        for d in range(4):
            a = (block.over_time.weight @ x[b, :, d] + block.over_time.bias).softmax(0)
            torch.testing.assert_close(weights[b, :, d], a)
            torch.testing.assert_close(out[b, :, d], a * x[b, :, d])
    order = torch.tensor([4, 0, 3, 1, 2])
    assert (block(x[:, order])[1] - weights[:, order]).abs().max() > 1e-3     # a word's weight depends on its place
    shared = FCAttention(5, one_map=True).double()(x)[1]
    assert torch.equal(shared[..., 0], shared[..., 3])
    with pytest.raises(ValueError, match="built for 5 places, got 4"):
        block(x[:, :4])


@torch.no_grad()
def test_a_bounded_score_cannot_single_out_a_word():
    """softmax of scores in (-1, 1): no weight above e / (e + (n - 1) / e)."""
    model = with_bounded_scores(drawn(HierarchicalAttention))
    level = model.words
    level.pool.look.query.mul_(1000)
    x = torch.randn(1, 10, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    weights = level(x, torch.ones(1, 10, dtype=torch.bool))[1]
    assert weights.max() < 0.4509 and weights.max() / weights.min() < 7.39
    one, other = drawn(HierarchicalAttention), with_bounded_scores(drawn(HierarchicalAttention))
    assert all(map(torch.equal, one.state_dict().values(), other.state_dict().values()))
    with pytest.raises(TypeError, match="MeanPooling"):
        with_bounded_scores(drawn(HierarchicalAttention, pooling=("mean", "mean")))
