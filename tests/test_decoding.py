"""Greedy decoding: END, caps, attention, probabilities, batches; and that the contract carries a beam search."""

import pytest
import torch
from tiny_models import Table, copy_task
from torch import nn

from course_utils.seq2seq.attentive import AttentiveSeq2Seq
from course_utils.seq2seq.contract import take_rows
from course_utils.seq2seq.decoding import evaluating, greedy, length_cap, translate
from course_utils.text.batches import make_batch
from course_utils.text.vocabulary import BEGIN, END, PAD
from course_utils.training import train

A, B, C = 4, 5, 6


def test_stops_at_end_and_writes_only_pads_after_it():
    model = Table(8, {4: [A, B, END, C, C], 5: [B, END, A], 6: [A, B, C, C, END]})
    decoded = greedy(model, torch.tensor([[4, 7], [5, PAD], [6, 7]]))
    assert decoded.tokens.tolist() == [[A, B, END, PAD, PAD], [B, END, PAD, PAD, PAD], [A, B, C, C, END]]
    assert decoded.ended.tolist() == [True] * 3


def test_the_cap_cuts_what_never_ends():
    model = Table(8, {4: [A], 5: [B, END]})
    decoded = greedy(model, torch.tensor([[4, 7], [5, 7]]), max_length=3)
    assert decoded.tokens.tolist() == [[A, A, A], [B, END, PAD]] and decoded.ended.tolist() == [False, True]
    at_the_cap = greedy(Table(8, {4: [A, A, END]}), torch.tensor([[4]]), max_length=3)
    assert at_the_cap.ended.tolist() == [True]


def test_the_default_cap_is_each_rows_own():
    source = torch.tensor([[4, PAD, PAD], [4, 7, 7]])
    assert length_cap(source).tolist() == [12, 16]
    tokens = greedy(Table(8, {4: [A]}), source).tokens
    assert (tokens != PAD).sum(1).tolist() == [12, 16]  # the short row does not profit from its neighbour


def test_probabilities_and_attention():
    model = Table(8, {4: [A, END], 5: [A, B, END]}, sure=3.0)
    decoded = greedy(model, torch.tensor([[4, 7, PAD], [5, 7, 7]]))
    word = torch.tensor([3.0] + [0.0] * 7).log_softmax(0)[0]
    torch.testing.assert_close(decoded.log_prob, torch.stack([2 * word, 3 * word]))
    assert decoded.attention.argmax(-1).tolist() == [[0, 1, 0], [0, 1, 2]]
    assert decoded.attention.sum(-1).tolist() == [[1, 1, 0], [1, 1, 1]]  # nothing after END


def test_pad_and_begin_are_never_chosen():
    class Reluctant(Table):
        def step(self, token, state, memory):
            logits, state, attention = super().step(token, state, memory)
            logits[:, PAD], logits[:, BEGIN] = 99.0, 98.0
            return logits, state, attention

    decoded = greedy(Reluctant(8, {4: [A, B, END]}), torch.tensor([[4]]))
    assert decoded.tokens.tolist() == [[A, B, END]]


def test_a_model_without_attention():
    class Blind(Table):
        def step(self, token, state, memory):
            return *super().step(token, state, memory)[:2], None

    assert greedy(Blind(8, {4: [A, END]}), torch.tensor([[4]])).attention is None


def test_greedy_feeds_back_its_own_words():
    """Against a plain loop over one sentence, on a trained model."""
    model, batches, pairs, source_vocab, target_vocab = copy_task()
    train(model, batches, steps=150, warmup=10, lr=1e-2, progress=False)
    for pair in pairs[:10]:
        source, target_in = make_batch([pair], source_vocab, target_vocab).source, [BEGIN]
        while target_in[-1] != END and len(target_in) <= 2 * len(pair.source) + 10:
            logits = model(source, torch.tensor([target_in]))
            target_in.append(int(logits[0, -1].argmax()))
        decoded = greedy(model, source)
        assert decoded.tokens.tolist() == [target_in[1:]]
        right = model(source, torch.tensor([target_in[:-1]])).log_softmax(-1)[0]
        expected = sum(right[t, token].item() for t, token in enumerate(target_in[1:]))
        assert float(decoded.log_prob) == pytest.approx(expected, abs=1e-4)


def trained():
    model, batches, pairs, source_vocab, target_vocab = copy_task(dropout=0.2)
    train(model, batches, steps=200, warmup=10, lr=1e-2, progress=False)
    return model, pairs, source_vocab, target_vocab


def test_neighbours_and_pads_do_not_matter():
    model, pairs, source_vocab, target_vocab = trained()
    pairs = sorted(pairs, key=lambda p: len(p.source))[::12]
    together = greedy(model, make_batch(pairs, source_vocab, target_vocab).source)
    for i, pair in enumerate(pairs):
        alone = greedy(model, make_batch([pair], source_vocab, target_vocab).source)
        n = alone.tokens.shape[1]
        assert alone.tokens[0].equal(together.tokens[i, :n]) and (together.tokens[i, n:] == PAD).all()
        torch.testing.assert_close(alone.log_prob[0], together.log_prob[i])


def test_translate_keeps_the_order_and_takes_text_or_tokens():
    model, pairs, source_vocab, target_vocab = trained()
    answers = translate(model, [p.source for p in pairs], source_vocab, target_vocab, batch_size=7)
    assert sum(answer == p.target for answer, p in zip(answers, pairs, strict=True)) > 0.7 * len(pairs)
    texts = [" ".join(p.source) for p in pairs]
    assert translate(model, texts, source_vocab, target_vocab, batch_size=1) == answers
    assert translate(model, [], source_vocab, target_vocab) == []
    with pytest.raises(TypeError, match="list of sentences"):
        translate(model, "a b", source_vocab, target_vocab)
    with pytest.raises(ValueError, match="sentence 1 is empty"):
        translate(model, ["a", " "], source_vocab, target_vocab)


def test_evaluation_mode_inside_and_the_old_mode_after():
    model, pairs, source_vocab, target_vocab = trained()
    source = make_batch(pairs[:20], source_vocab, target_vocab).source
    expected = greedy(model, source)
    model.train()
    model.dropout.eval()  # a mixture of modes
    modes = [module.training for module in model.modules()]
    decoded = greedy(model, source)
    assert decoded.log_prob.equal(expected.log_prob) and not decoded.log_prob.requires_grad
    assert [module.training for module in model.modules()] == modes
    model.dropout.train()
    assert greedy(model, source).log_prob.equal(expected.log_prob)  # dropout is off inside
    assert torch.is_grad_enabled()
    with pytest.raises(RuntimeError, match="oops"), evaluating(model):
        raise RuntimeError("oops")
    assert model.training and model.dropout.training and torch.is_grad_enabled()


@pytest.mark.parametrize(
    "source, error",
    [
        (torch.tensor([4, 5]), "unsqueeze"),
        (torch.zeros(0, 3, dtype=torch.long), "empty"),
        (torch.tensor([[4.0]]), "torch.long"),
        ([[4]], "make_batch"),
    ],
)
def test_malformed_sources_are_refused(source, error):
    with pytest.raises((ValueError, TypeError), match=error):
        greedy(Table(8, {4: [A]}), source)
    with pytest.raises(ValueError, match="max_length=0"):
        greedy(Table(8, {4: [A]}), torch.tensor([[4]]), max_length=0)


def test_rows_of_memory_and_state_can_be_taken_in_midst_of_decoding():
    """What beam search needs of the contract: repeat and reorder hypotheses, then go on."""
    torch.manual_seed(0)
    model = AttentiveSeq2Seq(9, 8, d_embedding=6, d_hidden=8).eval()
    source, words = torch.tensor([[4, 5, 6], [7, 8, PAD]]), torch.tensor([[BEGIN, A], [BEGIN, B]])
    rows = torch.tensor([1, 0, 1])
    with torch.no_grad():
        memory = model.encode(source)
        _, state, _ = model.step(words[:, 0], model.start(memory), memory)
        memory, state = take_rows(memory, rows), take_rows(state, rows)
        taken, *_ = model.step(words[rows, 1], state, memory)
        torch.testing.assert_close(taken, model(source[rows], words[rows])[:, 1])


def test_a_package_model_decodes():
    torch.manual_seed(0)
    model = AttentiveSeq2Seq(9, 8, d_embedding=6, d_hidden=8)
    assert isinstance(model, nn.Module)
    decoded = greedy(model, torch.tensor([[4, 5, 6], [7, 8, PAD]]), max_length=5)
    assert decoded.attention.shape[::2] == (2, 3) and (decoded.attention[1, :, 2] == 0).all()
