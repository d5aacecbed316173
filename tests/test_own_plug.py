"""A plug of one's own: one class, one line in the table. It then runs through every model, proof and table."""

import pytest
import test_plugs
import torch
from torch import nn

from course_utils.attention.socket import allowed_pairs, check_socket, masked_softmax
from course_utils.attention.table import PLUGS, PlugFacts, dense_score, none, rows
from course_utils.experiments.nb24.long_range import LongRange
from course_utils.layers.multihead import MultiHeadAttention
from course_utils.proofs.models import PROOFS, prove
from course_utils.proofs.tools import SIZES
from course_utils.seq2seq.attentive import AttentiveSeq2Seq
from course_utils.seq2seq.bahdanau import BahdanauSeq2Seq
from course_utils.seq2seq.transformer import Transformer
from course_utils.widgets.race import cost_explorer, shares


class NearestAttention(nn.Module):
    """The nearer a key, the larger its weight: softmax of -|q - k|^2 / 2, whose |q|^2 is the same for all keys."""

    def forward(self, query, key, value, *, key_mask=None, causal=False, mask=None, positions=None,
                need_weights=False, state=None):  # fmt: skip
        check_socket(query, key, value, key_mask, mask, positions)
        allowed = allowed_pairs(query, key, key_mask=key_mask, causal=causal, mask=mask, positions=positions)
        scores = query @ key.transpose(-2, -1) - key.square().sum(-1).unsqueeze(-2) / 2        # (B, ..., T, S)
        weights = masked_softmax(scores, allowed)
        return weights @ value, weights if need_weights else None, None


LINE = PlugFacts(
    make=lambda place: NearestAttention(), settings={}, computes="other", causal=True, lengths="any", parameters=none,
    operations=dense_score, time=2, memory=2, source="this test", taught="24",
)  # fmt: skip


@pytest.fixture(autouse=True)
def the_line_in_the_table(monkeypatch):
    monkeypatch.setitem(PLUGS, "nearest", LINE)


MODELS = {
    "attentive": lambda: AttentiveSeq2Seq(**SIZES, d_embedding=5, d_hidden=8, attention="nearest"),
    "Transformer": lambda: Transformer(**SIZES, d_model=8, n_heads=2, n_layers=2, d_ff=12, attention="nearest"),
}


@pytest.mark.parametrize("name", MODELS)
def test_translators_take_it_by_name_and_pass_all_proofs(name):
    torch.manual_seed(0)
    prove(MODELS[name]().double(), leave_out=("torch_equivalence",))       # that one needs its equations


def test_what_it_cannot_do_is_refused_in_one_sentence():
    with pytest.raises(ValueError, match="nearest needs queries and keys of one width, got 8 and 16: use additive or "):
        BahdanauSeq2Seq(**SIZES, d_embedding=5, d_hidden=8, d_attention=4, d_readout=4, attention="nearest")


def test_multi_head_attention_and_the_race_take_it():
    x = torch.randn(2, 7, 8)
    assert MultiHeadAttention(8, 2, "nearest")(x, x, x)[0].shape == (2, 7, 8)
    model = LongRange(n_tokens=5, n_answers=3, longest=16, plug="nearest", d_model=8, n_heads=2)
    assert model(torch.ones(2, 16, dtype=torch.long)).shape == (2, 3)


@pytest.mark.parametrize("test", [
    lambda: test_plugs.test_operations_are_those_counted("nearest", 128),
    lambda: test_plugs.test_growth_in_time_and_memory("nearest"),
    lambda: test_plugs.test_parameters_are_counted("nearest"),
    lambda: test_plugs.test_the_past_does_not_know_the_future("nearest", True),
    lambda: test_plugs.test_pads_change_nothing("nearest", True),
    lambda: test_plugs.test_neighbours_in_the_batch_change_nothing("nearest", True),
    lambda: test_plugs.test_a_row_of_pads_is_finite_and_weightless("nearest", False),
    lambda: test_plugs.test_the_map_is_the_function("nearest"),
    lambda: test_plugs.test_it_fits_multi_head_attention("nearest"),
    *(lambda proof=proof: test_plugs.test_a_transformer_with_it_passes_the_proofs("nearest", proof)
      for proof in PROOFS if proof != "torch_equivalence"),
])  # fmt: skip
def test_its_line_is_held_to_what_it_does(test):
    test()


def test_it_stands_in_the_tables():
    assert rows()[-1]["plug"] == "nearest" and rows()[-1]["share of dense"] == 1
    assert shares(512)["nearest"] == 1 and "nearest" in shares(512)
    cost_explorer()


def test_a_false_claim_is_seen(monkeypatch):
    monkeypatch.setitem(PLUGS, "nearest", PlugFacts(**vars(LINE) | {"operations": lambda N, d, H: N * d * H}))
    with pytest.raises(AssertionError):
        test_plugs.test_operations_are_those_counted("nearest", 128)
