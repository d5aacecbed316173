"""Label-wise and attribute attention: formulas, pads, masks of attributes, what the controls are."""

import pytest
import torch
import torch.nn.functional as F

from course_utils.models.hierarchical import DocumentBatch, pad_documents
from course_utils.models.label_attention import (
    NOT_APPLICABLE,
    AttributeAttention,
    LabelAttention,
    attribute_loss,
    label_loss,
)
from course_utils.text.vocabulary import PAD

DOCUMENTS = [[[4, 5, 6], [7, 8], [9]], [[10]], [[11, 4, 4, 5, 6], [6, 5]]]
IDS = pad_documents(DOCUMENTS)


def drawn(kind, *counts, **options):
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        model = kind(12, *counts, d_embedding=4, d_hidden=6, **options).double().eval()
        for name, parameter in model.named_parameters():
            if "bias" in name:
                parameter.normal_(std=0.5)
        return model


MODELS = {
    "labels": lambda: drawn(LabelAttention, 5), "one query": lambda: drawn(LabelAttention, 5, shared=True),
    "wide": lambda: drawn(LabelAttention, 5, width=5), "attributes": lambda: drawn(AttributeAttention, 7, 3),
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
@torch.no_grad()
def test_pads_neighbours_and_gaps_do_not_matter(name):
    model = MODELS[name]()
    together, weights = model(IDS), model.read(IDS)[-1]
    for k, document in enumerate(DOCUMENTS):
        torch.testing.assert_close(model(pad_documents([document]))[0], together[k], rtol=0, atol=1e-12)
    longer = model(pad_documents([*DOCUMENTS, [[4] * 9] * 7]))[:-1]
    torch.testing.assert_close(longer, together, rtol=0, atol=1e-12)
    model.embedding.weight[PAD] = 50.0
    gaps = torch.tensor([[[PAD] * 4, [4, PAD, 5, 6], [PAD, 7, 8, PAD], [9, PAD, PAD, PAD]]])
    gaps = torch.cat([gaps, torch.full((1, 4, 4), 5)])                           # a longer neighbour: pads behind
    torch.testing.assert_close(model(gaps)[0], together[0], rtol=0, atol=1e-12)
    assert not weights.transpose(1, -1)[(IDS == PAD).transpose(1, 2)].any()
    torch.testing.assert_close(weights.sum((2, 3)), torch.ones(weights.shape[:2], dtype=torch.float64))


@torch.no_grad()
def test_labels_by_brute_force():
    """Eq. 1-4, word by word and label by label."""
    model = MODELS["labels"]()
    model.convolution.bias.normal_()
    W, b, u, beta = model.convolution.weight, model.convolution.bias, model.look.query, model.output
    logits, weights = model.read(IDS)
    for row, document in enumerate(DOCUMENTS):
        x = [model.embedding.weight[word] for sentence in document for word in sentence]
        none = torch.zeros(4, dtype=torch.float64)
        padded = [none, *x, none]
        h = [torch.tanh(b + sum(W[:, :, k] @ padded[n + k] for k in range(3))) for n in range(len(x))]
        for label in range(5):
            powers = torch.stack([torch.exp(h_n @ u[label]) for h_n in h])
            a = powers / powers.sum()
            v = sum(a_n * h_n for a_n, h_n in zip(a, h, strict=True))
            torch.testing.assert_close(logits[row, label], beta.weight[label] @ v + beta.bias[label])
            torch.testing.assert_close(weights[row, label][IDS[row] != PAD], a)


@torch.no_grad()
def test_with_one_query_all_labels_look_at_the_same():
    weights = MODELS["one query"]().read(IDS)[1]
    assert weights.shape == (3, 5, 3, 5) and torch.equal(weights[:, 0], weights[:, 4])
    own = MODELS["labels"]().read(IDS)[1]
    assert (own[0, 0] - own[0, 4]).abs().max() > 1e-6


@torch.no_grad()
def test_attributes_by_brute_force():
    model = MODELS["attributes"]()
    logits, attributes, weights = model.read(IDS)
    for row, document in enumerate(DOCUMENTS):
        x = torch.stack([model.embedding.weight[word] for sentence in document for word in sentence])
        h = model.encoder.rnn(x.unsqueeze(0))[0][0]                              # (N, D)
        u = torch.tanh(h @ model.look.key.weight.T + model.look.key.bias)
        a = (u @ model.look.query.T).softmax(0).T                                # (K, N)
        g = a @ h
        for k in range(3):
            torch.testing.assert_close(attributes[row, k], model.attribute.weight[k] @ g[k] + model.attribute.bias[k])
            torch.testing.assert_close(weights[row, k][IDS[row] != PAD], a[k])
        torch.testing.assert_close(logits[row], model.output(torch.cat([h.max(0).values, g.mean(0)])))


def test_losses():
    batch = DocumentBatch(IDS, torch.tensor([0, 6, 2]), [0, 1, 2])
    model = MODELS["attributes"]()
    table = torch.randint(0, 2, (7, 3), generator=torch.Generator().manual_seed(0))
    logits, attributes, _ = model.read(IDS)
    plain = F.cross_entropy(logits, batch.labels)
    each = -(F.logsigmoid(attributes) * table[batch.labels] + F.logsigmoid(-attributes) * (1 - table[batch.labels]))
    torch.testing.assert_close(attribute_loss(model, batch, table, 0.0), plain)
    torch.testing.assert_close(attribute_loss(model, batch, table, 2.0), plain + 2 * each.sum(1).mean())
    table[:, 1] = NOT_APPLICABLE
    torch.testing.assert_close(attribute_loss(model, batch, table), plain + each[:, [0, 2]].sum(1).mean())
    attribute_loss(model, batch, table).backward()
    assert not model.attribute.weight.grad[1].any() and model.attribute.weight.grad[0].any()
    several = DocumentBatch(IDS, torch.tensor([[1.0, 0, 0, 1, 0]] * 3), [0, 1, 2])
    labels = MODELS["labels"]()
    p = torch.sigmoid(labels(IDS))
    expected = -(several.labels * p.log() + (1 - several.labels) * (1 - p).log()).mean()
    torch.testing.assert_close(label_loss(labels, several), expected)


def test_an_empty_document_and_learning():
    for name in MODELS:
        model = MODELS[name]()
        model.double()(pad_documents([[], [[4, 5]]])).square().sum().backward()
        assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters()), name
    with pytest.raises(ValueError, match="an odd number"):
        drawn(LabelAttention, 5, width=4)
