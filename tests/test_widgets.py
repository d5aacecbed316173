"""Every widget: a first frame without a click, every control to its ends, errors in one sentence."""

import base64
import functools
import html
import logging

import ipywidgets as w
import numpy as np
import pytest
import torch
from traitlets import TraitError

from course_utils import plots
from course_utils.corpora.document import Document
from course_utils.corpora.pair import Pair
from course_utils.corpora.vectors import WordVectors
from course_utils.experiments.nb14.heads import all_heads, without
from course_utils.experiments.nb16.pieces import PIECES
from course_utils.experiments.nb23.reading import remembering, segment_losses
from course_utils.layers.gated_cells import LSTMCell
from course_utils.layers.multihead import MultiHeadAttention
from course_utils.models.hierarchical import HierarchicalAttention
from course_utils.models.language_model import CharLanguageModel
from course_utils.models.tagger import Tagger
from course_utils.models.transformer_xl import TransformerXL
from course_utils.plots.attention import STAGES
from course_utils.seq2seq.attentive import AttentiveSeq2Seq
from course_utils.seq2seq.bahdanau import BahdanauSeq2Seq
from course_utils.seq2seq.decoding import greedy
from course_utils.seq2seq.fixed_context import FixedContextSeq2Seq
from course_utils.seq2seq.transformer import Transformer
from course_utils.text.vocabulary import END, Vocabulary
from course_utils.widgets import (
    Explorer,
    SentencePicker,
    Stepper,
    ToggleGrid,
    buckets,
    decoding,
    embeddings,
    gates,
    kernels,
    long_memory,
    race,
    recipes,
    scores,
    self_attention,
    sparse,
    tagging,
    training,
    where,
)
from course_utils.widgets import normalisation as normalising
from course_utils.widgets import seq2seq as players
from course_utils.widgets.explorer import SORRY
from course_utils.widgets.heads import (
    TINY_K,
    TINY_O,
    TINY_Q,
    TINY_V,
    head_explorer,
    look_at_head,
    split_film,
    split_player,
)
from course_utils.widgets.hierarchy import document_reader
from course_utils.widgets.hierarchy import read as read_document
from course_utils.widgets.positions import convolution_slider, position_explorer, rotary_turner
from course_utils.widgets.sweep import actions, sweep
from course_utils.widgets.traces import compare_weights, read_sentence, steer, trace_attention, trace_fixed
from course_utils.widgets.transformer import piece_explorer, trace_transformer, transformer_player

PAIRS = [
    Pair(tuple(s.split()), tuple(t.split()), sure=frozenset(links), possible=frozenset(links))
    for s, t, links in (
        ("the cat sees the dog .", "le chat voit le chien .", {(i, i) for i in range(6)}),
        ("the black cat sleeps .", "le chat noir dort .", {(0, 0), (1, 2), (2, 1), (3, 3), (4, 4)}),
        ("cats sleep .", "les chats dorment .", {(0, 1), (1, 2), (2, 3)}),
        ("the dog of the neighbour does not see the small cat .", "le chien du voisin ne voit pas le petit chat .",
         {(0, 0)}),
        ("does the dog sleep ?", "est-ce que le chien dort ?", {(4, 5)}),
    )
]
SOURCE, TARGET = (Vocabulary.build(getattr(p, side) for p in PAIRS) for side in ("source", "target"))
SMALL = dict(source_size=len(SOURCE), target_size=len(TARGET), d_embedding=8, d_hidden=8)


def attentive():
    torch.manual_seed(1)
    return AttentiveSeq2Seq(**SMALL)


def bahdanau():
    torch.manual_seed(1)
    return BahdanauSeq2Seq(**SMALL, d_attention=8, d_readout=8)


def fixed(**options):
    torch.manual_seed(1)
    return FixedContextSeq2Seq(**SMALL, **options)


def elman(seed: int = 1) -> Tagger:
    torch.manual_seed(seed)
    return Tagger("elman", len(SOURCE), len(TARGET), d_embedding=8, d_hidden=8)
def transformer():
    torch.manual_seed(1)
    return Transformer(len(SOURCE), len(TARGET), d_model=8, n_heads=2, n_layers=2).eval()


def line(n: int = 3, text: str = "one two"):
    title = text[:20].replace("$", "")
    return plots.bars_with_seeds({f"bar {k}": [k / 10] for k in range(1, n + 1)}, title=title), f"{n} bars, {text}"


def plain() -> Explorer:
    return Explorer(line, alt="A few bars of growing length.", n=w.IntSlider(3, 1, 6), text=w.Text("one two"))


def space(seed: int) -> WordVectors:
    words = (*SOURCE.words[4:], "platypus")
    return WordVectors(words, torch.randn(len(words), 8, generator=torch.Generator().manual_seed(seed)))


NOTES = torch.tensor([[0.8, 1, 0, 0], [-0.5, 0, 0, 0], [0.3, 0, 0, 1], [-1, 1, 1, 1]], dtype=torch.float64)


def note_cell() -> LSTMCell:
    """Notebook 03's unit by hand: every gate looks at its own order."""
    cell = LSTMCell(4, 1).double()
    hand = {"W": [[0, 10, 0, 0], [0, 0, -10, 0], [1, 0, 0, 0], [0, 0, 0, 10]], "U": [[0]] * 4, "b": [-5, 5, 0, -5]}
    cell.load_state_dict({name: torch.tensor(rows, dtype=torch.float64) for name, rows in hand.items()})
    return cell


LETTERS = Vocabulary(" \nabcdefghijklmnopqrstuvwxyz")


def letters():
    torch.manual_seed(1)
    return CharLanguageModel(len(LETTERS), 6, 8).double()


EXPLORERS = {
    "plain": plain,
    "attention player, attentive": lambda: players.attention_player(attentive(), SOURCE, TARGET, PAIRS[:2], "It"),
    "attention player, Bahdanau": lambda: players.attention_player(bahdanau(), SOURCE, TARGET, PAIRS[:2], "It"),
    "fixed context, Sutskever": lambda: players.fixed_context_player(
        fixed(cell="lstm", n_layers=2, reverse_source=True), SOURCE, TARGET, PAIRS[:2], "Sutskever"
    ),
    "fixed context, Cho": lambda: players.fixed_context_player(
        fixed(context="every_step"), SOURCE, TARGET, PAIRS[:2], "Cho"
    ),
    "steering": lambda: players.steering_widget(attentive(), SOURCE, TARGET, PAIRS[:2], "Attentive", step=1, word=2),
    "bottleneck": lambda: players.bottleneck_explorer({"fixed": fixed(), "att": attentive()}, SOURCE, TARGET, PAIRS),
    "neighbours": lambda: embeddings.neighbour_explorer({"one": space(0), "two": space(1)}, ["cat", "dog"]),
    "arithmetic": lambda: embeddings.arithmetic_explorer(
        {"one": space(0), "two": space(1)}, [("cat", "dog", "the"), ("sees", "does", "not")]
    ),
    "window": lambda: embeddings.window_explorer(
        [" ".join(p.source) for p in PAIRS[:3]], SOURCE.words[4:], torch.arange(40, 40 - len(SOURCE) + 4, -1)
    ),
    "memory": lambda: tagging.memory_player(
        {"one": elman(), "other": elman(2)}, SOURCE, TARGET, PAIRS[:2], replacements=("cats", "the", "platypus"), at=2
    ),
    "valley": lambda: normalising.valley_explorer(
        np.array([[4.0, 0], [9, 1], [7, 0], [12, 1]]), np.array([5.0, 9, 8, 11]), ("words", "question")
    ),
    "batch neighbours": lambda: normalising.neighbour_explorer(
        [p.source for p in PAIRS], {w: torch.randn(4, generator=torch.Generator().manual_seed(i)) for i, w in
                                    enumerate(SOURCE.words)},
    ),
    "depth": lambda: recipes.depth_explorer(
        {norm: {n: {stack: [0.1 * (k + 1 + i) for k in range(n)] for i, stack in enumerate(("encoder", "decoder"))}
                for n in (2, 6)} for norm in ("pre", "post")}
    ),
    "merges": lambda: recipes.merge_player({"low": 5, "lower": 2, "newest": 6, "widest": 3}, 5),
    "heads": lambda: head_explorer(transformer(), SOURCE, TARGET, PAIRS[:2]),
    "split": split_player,
    "grid": lambda: Explorer(
        lambda mask: plots.alignment_map(("a", "b"), ("x", "y"), [[float(m) for m in row] for row in mask]),
        alt="A mask as a map of four cells.", mask=ToggleGrid(("x", "y"), ("a", "b")),
    ),
    "doors": lambda: gates.door_player(note_cell(), NOTES),
    "orders": lambda: gates.order_player(note_cell(), NOTES[:, 0].tolist(), (NOTES[:, 1:].T > 0).tolist()),
    "forgetting": lambda: gates.forgetting_slider(),
    "beam": lambda: decoding.beam_player(attentive(), SOURCE, TARGET, PAIRS[:2], "It", k=2, at=3),
    "cuts": lambda: decoding.cutter(letters(), LETTERS, ["the cat ", "a dog\n"], n=30),
    "spectral radius": lambda: training.radius_explorer(units=6, steps=12, seeds=2),
    "cliff": lambda: training.cliff_explorer(),
    "speaker": lambda: training.speaker(letters(), LETTERS, ["the cat ", "a dog\n"], n=30),
}  # fmt: skip

FOUR = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [-1.0, 1.0]])
FLOOD = "the river flooded the bank".split()
FIVE = torch.tensor([[0.0, 0, 0], [2, 0, 0], [1, 0, 1], [0, 0, 0], [1, 1, 0]])
THREE = tuple(
    torch.tensor(rows) for rows in ([[1.0, 1, 0], [0, 0, 1]], [[0.0, 0, 2], [1, 1, -1]], [[1.0, 0, 0], [0, 1, 0]])
)
EXPLORERS |= {
    "one asks": lambda: self_attention.one_asks(FLOOD, FIVE, *THREE, ("water", "money"), query=4, moved=1),
    "width": self_attention.width_slider,
    "scores": lambda: scores.score_explorer(FLOOD[:3], torch.tensor([1.0, 2.0]), FIVE[:3, :2], {
        "dot": lambda s, h: h @ s, "cosine": lambda s, h: torch.cosine_similarity(h, s, -1)}, stretched=1),
    "mask painter": lambda: self_attention.mask_painter(FLOOD, FIVE, *THREE),
    "transformer": lambda: transformer_player(transformer(), SOURCE, TARGET, PAIRS[:2]),
    "pieces": lambda: piece_explorer(
        [[0.9, 0.5]] * 3, {p: [[0.1 * k, 0.0]] for k, p in enumerate(PIECES)}, ("3-7", "8-11"), trained=1
    ),
}


def sharp_reader():
    """A model that has decided where to look."""
    torch.manual_seed(0)
    model = HierarchicalAttention(len(LETTERS), 2)
    with torch.no_grad():
        for level in (model.words, model.sentences):
            level.pool.look.query.mul_(30)
    return model


EXPLORERS |= {
    "documents": lambda: document_reader(
        sharp_reader(), [Document((tuple("zz"),), 1), Document((tuple("abc"), tuple("de")), 0, "x-y", (0, (1,)))],
        LETTERS, ("one", "two"),
    ),
}
EXPLORERS |= {
    "positions": position_explorer,
    "rotary": lambda: rotary_turner(FOUR[0], FOUR[2]),
    "convolution": lambda: convolution_slider(torch.arange(20.0).view(4, 5).sin(), torch.arange(9.0).view(3, 3)),
}
EXPLORERS |= {
    "order of products": kernels.order_slider,
    "rank": lambda: kernels.rank_explorer({"eye": torch.eye(32), "ones": torch.ones(32, 32).tril()}, k=8),
    "random features": lambda: kernels.favor_explorer(N=16, d=8),
    "recall": kernels.recall_slider,
}
EXPLORERS |= {
    "costs": race.cost_explorer,
    "trade": lambda: race.trade_explorer(
        {"pixels": {"scaled_dot": [0.9], "linear": [0.5, 0.6]}, "listops": {"scaled_dot": [0.3], "linear": [0.3]}},
        {"scaled_dot": {}, "linear": {}}, "pixels",
    ),
}
EXPLORERS |= {
    "pattern painter": lambda: sparse.pattern_painter(
        "a cat sees a big dog".split(), {"even": torch.full((6, 6), 1 / 6), "own": torch.eye(6)}
    ),
    "reach": lambda: sparse.reach_slider(N=21),
}
EXPLORERS |= {
    "window of attention": lambda: where.window_explorer(
        FLOOD, ["le", "fleuve", "déborde"], torch.arange(15.0).view(3, 5).sin(), at=1, centre=1.4),
    "walk": lambda: where.walk_player(FLOOD[:3], ["le", "fleuve"], torch.tensor([[0.7, 0.6, 0.9], [0.9, 0.1, 0.3]])),
}
EXPLORERS |= {"buckets": lambda: buckets.lsh_plane(rounds=3), "sinkhorn": lambda: buckets.sinkhorn_slider(most=4)}


def a_reader() -> TransformerXL:
    torch.manual_seed(0)
    return TransformerXL(len(LETTERS), d_model=8, n_heads=2, n_layers=2, d_ff=8, memory=8).eval()


READ = torch.tensor(LETTERS.encode(list("the cat sees the dog .\na dog sleeps\n" * 12)))
EXPLORERS["long memory"] = lambda: long_memory.memory_explorer(
    a_reader(), LETTERS, READ, segment=16, rows=4, start=1, lanes=2, memories=(0, 4, 32)
)


@functools.cache
def shared(name: str) -> Explorer:
    """One for the next three tests: after the sweep it is what it was, and the last of them may leave it otherwise."""
    return EXPLORERS[name]()


@pytest.mark.parametrize("name", EXPLORERS)
def test_sweep(name):
    explorer = shared(name)
    before, values = bytes(explorer.picture.value), explorer.values
    assert sweep(explorer) == []
    assert explorer.values == values and explorer.error is None
    assert bytes(explorer.picture.value) == before, "the same values must give the same picture"


@pytest.mark.parametrize("name", EXPLORERS)
def test_the_first_frame_needs_no_click(name):
    one, other = shared(name), EXPLORERS[name]()
    data, metadata = one._repr_mimebundle_()
    assert base64.b64decode(data["image/png"])[:4] == b"\x89PNG"
    assert data["text/plain"].startswith(f"[figure] {one.alt} [") and one.text in data["text/plain"]
    assert metadata["image/png"]["alt"] == one.alt
    assert f"Picture: {html.escape(one.alt)}</span>" in one.children[-1].value  # what a screen reader finds
    assert "application/vnd.jupyter.widget-view+json" in data
    still, _ = other._repr_mimebundle_()
    assert (still["image/png"], still["text/plain"]) == (data["image/png"], data["text/plain"])
    assert one.picture.layout.width == "800px"


@pytest.mark.parametrize("name", EXPLORERS)
def test_every_control_changes_the_picture(name):
    explorer = shared(name)
    for control in explorer.controls.values():
        before = bytes(explorer.picture.value)
        assert any(act() or bytes(explorer.picture.value) != before for _, act in actions(control))


def test_an_error_is_one_sentence(caplog):
    def draw(n):
        if n == 2:
            raise ValueError("Two is too many: choose one.\nmore that nobody should see")
        if n == 3:
            return 1 / 0
        return line(n)

    explorer = Explorer(draw, alt="A few bars of growing length.", n=w.IntSlider(1, 1, 5))
    picture = bytes(explorer.picture.value)
    with caplog.at_level(logging.ERROR, logger="course_utils"):
        explorer.controls["n"].value = 2
        assert explorer.error == "Two is too many: choose one." and "nobody" not in explorer.note.value
        explorer.controls["n"].value = 3
    assert explorer.error == SORRY and "ZeroDivisionError" in explorer.details
    assert "Traceback" not in explorer.note.value and "ZeroDivisionError" in caplog.text
    assert bytes(explorer.picture.value) == picture
    assert explorer._repr_mimebundle_()[0]["text/plain"].endswith(SORRY)
    assert len(sweep(explorer)) == 1
    explorer.controls["n"].value = 1
    assert explorer.error is None and explorer.details == "" and explorer.note.value == explorer.text


def test_the_first_frame_raises_its_errors():
    with pytest.raises(ZeroDivisionError):
        Explorer(lambda n: 1 / n, alt="Nothing can be seen here.", n=w.IntSlider(0))
    with pytest.raises(ValueError, match="alt="):
        Explorer(line, alt="bars", n=w.IntSlider(1))


def test_text_is_escaped():
    explorer = plain()
    explorer.controls["text"].value = "<script>x</script>"
    assert "<script>" not in explorer.note.value and "<script>" in explorer.text


def test_a_browser_message_moves_it():
    explorer = plain()
    before = bytes(explorer.picture.value)
    explorer.controls["n"].set_state({"value": 5})  # what the front end sends
    assert bytes(explorer.picture.value) != before and explorer.text.startswith("5 bars")


def test_together_draws_once():
    drawn = []

    def draw(a, b):
        drawn.append((a, b))
        return line(a + b)

    explorer = Explorer(draw, alt="A few bars of growing length.", a=w.IntSlider(1), b=w.IntSlider(1))
    with explorer.together():
        explorer.controls["a"].value = 2
        explorer.controls["b"].value = 3
    assert drawn == [(1, 1), (2, 3)]


# --- controls ---------------------------------------------------------------------------------------------------------


def test_stepper():
    stepper = Stepper(3)
    seen = []
    stepper.observe(lambda change: seen.append(change.new), "value")
    for button in (stepper.next, stepper.next, stepper.next, stepper.back):
        button.click()
    assert seen == [1, 2, 1] and stepper.count.value == "2 / 3" and stepper.slider.value == 1
    stepper.slider.value = 2  # the arrow keys do this
    assert stepper.value == 2 and stepper.next.disabled and not stepper.back.disabled
    stepper.value = 99
    assert stepper.value == 2
    stepper.set_steps(1)
    assert stepper.value == 0 and stepper.next.disabled and stepper.back.disabled and stepper.count.value == "1 / 1"
    stepper.set_steps(5)
    stepper.slider.value = 4
    assert stepper.value == 4
    with pytest.raises(ValueError, match="at least one frame"):
        Stepper(0)


def test_sentence_picker():
    picker = SentencePicker(["the cat .", "the dog ."])
    seen = []
    picker.observe(lambda change: seen.append(change.new), "value")
    assert picker.value == "the cat ."
    picker.list.value = "the dog ."
    picker.text.value = "my own"
    assert picker.list.value == SentencePicker.OWN
    picker.list.value = "the cat ."
    assert picker.text.value == "" and seen == ["the dog .", "my own", "the cat ."]
    picker.list.value = SentencePicker.OWN
    assert picker.value == "the cat ."


def test_toggle_grid():
    grid = ToggleGrid(("a", "b"), ("x", "y", "z"), on=[[1, 0, 0], [0, 1, 0]])
    seen = []
    grid.observe(lambda change: seen.append(change.new), "value")
    grid.buttons[1][2].value = True
    assert grid.value == ((True, False, False), (False, True, True)) and len(seen) == 1
    grid.value = ((False,) * 3,) * 2
    assert not any(b.value for row in grid.buttons for b in row) and len(seen) == 2
    with pytest.raises(TraitError, match="2 rows of 3"):
        grid.value = ((True,),)
    with pytest.raises(ValueError, match="1 to 400"):
        ToggleGrid(["r"] * 30, ["c"] * 30)


def test_sweep_refuses_what_it_does_not_know():
    with pytest.raises(TypeError, match="teach it"):
        actions(w.Label("x"))


# --- what the players show --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [attentive, bahdanau])
def test_the_player_shows_what_greedy_does(make):
    model = make()
    for pair in PAIRS:
        steps = trace_attention(model, pair.source, SOURCE, TARGET, "it")
        decoded = greedy(model, torch.tensor([SOURCE.encode(pair.source)]))
        assert [s.words[0][0] for s in steps] == [TARGET.words[i] for i in decoded.tokens[0] if i]
        for t, step in enumerate(steps):
            assert step.weights == pytest.approx(decoded.attention[0, t].numpy(), abs=1e-6)
            assert torch.tensor(step.scores).softmax(-1).numpy() == pytest.approx(step.weights, abs=1e-6)
            assert step.weights @ step.annotations == pytest.approx(step.context, abs=1e-5)
            assert len(step.captions) == len(STAGES) and list(step.written) == [s.words[0][0] for s in steps[:t]]
    assert model.training and not hasattr(model.attention, "plug")


def test_bahdanau_asks_with_the_previous_state_and_the_attentive_decoder_with_the_current_one():
    steps = trace_attention(bahdanau(), PAIRS[0].source, SOURCE, TARGET, "it")
    assert "previous" in steps[0].captions[1] and "tanh(W sᵢ₋₁ + U hⱼ)" in steps[0].captions[1]
    for before, after in zip(steps, steps[1:], strict=False):
        assert after.query == pytest.approx(before.state)  # the state this step makes asks at the next
    current = trace_attention(attentive(), PAIRS[0].source, SOURCE, TARGET, "it")
    assert "current" in current[0].captions[1] and "sᵢ · W hⱼ" in current[0].captions[1]


@pytest.mark.parametrize("options", [{}, {"cell": "lstm", "reverse_source": True}, {"context": "every_step"}])
def test_the_fixed_context_trace_ends_in_c(options):
    model = fixed(**options)
    for pair in PAIRS:
        trace = trace_fixed(model, pair.source, SOURCE, TARGET, "it")
        assert trace.states[-1] == pytest.approx(trace.context, abs=1e-6)
        assert trace.read == (pair.source[::-1] if options.get("reverse_source") else pair.source)
        decoded = greedy(model, torch.tensor([SOURCE.encode(pair.source)]))
        assert list(trace.written) == [TARGET.words[i] for i in decoded.tokens[0] if i]
        assert sum(torch.tensor(trace.probabilities).log()) == pytest.approx(float(decoded.log_prob), abs=1e-4)


@pytest.mark.parametrize("make", [attentive, bahdanau])
def test_steering_moves_one_step_only(make):
    model = make()
    still = steer(model, PAIRS[0].source, SOURCE, TARGET, step=2, word=4, amount=0.0)
    assert still.written[0] == still.written[1] and still.weights[0] == pytest.approx(still.weights[1])
    moved = steer(model, PAIRS[0].source, SOURCE, TARGET, step=2, word=4, amount=1.0)
    assert moved.weights[1].tolist() == [0, 0, 0, 0, 1, 0] and moved.written[0] == still.written[0]
    assert moved.written[0][:2] == moved.written[1][:2], "the words before the step are the same"
    assert moved.words[0] != moved.words[1] and moved.said[0] in moved.words[0]
    half = steer(model, PAIRS[0].source, SOURCE, TARGET, step=2, word=4, amount=0.5)
    assert half.weights[1] == pytest.approx((still.weights[0] + moved.weights[1]) / 2)
    for bad in ({"word": 6, "step": 0}, {"step": 99, "word": 0}):
        with pytest.raises(ValueError):
            steer(model, PAIRS[0].source, SOURCE, TARGET, amount=1.0, **bad)


@pytest.mark.parametrize("make", [attentive, bahdanau])
def test_compare_weights(make):
    model = make()
    scores = compare_weights(model, PAIRS, SOURCE, TARGET, batch_size=2)
    assert set(scores) == {"learnt", "gold", "uniform", "permuted"}
    whole = compare_weights(model, PAIRS, SOURCE, TARGET, batch_size=5)
    assert all(scores[kind] == whole[kind] for kind in ("learnt", "gold", "uniform"))  # whatever the batches
    right = total = 0
    for pair in PAIRS:
        target = TARGET.encode(pair.target)
        with torch.no_grad():
            said = model.eval()(torch.tensor([SOURCE.encode(pair.source)]), torch.tensor([[1, *target]])).argmax(-1)[0]
        right += sum(a == b for a, b in zip(said.tolist(), [*target, END], strict=True))
        total += len(target) + 1
    assert scores["learnt"]["token_accuracy"] == pytest.approx(right / total)


def test_reading_a_sentence():
    assert read_sentence("The cat sleeps.", SOURCE) == (("the", "cat", "sleeps", "."), "")
    tokens, remark = read_sentence("The catt sleeps", SOURCE)
    assert tokens == ("the", "catt", "sleeps", ".") and "full stop" in remark
    assert "“catt”" in remark and "“cat”" in remark
    _, remark = read_sentence("zzz yyy xxx www vvv uuu .", SOURCE)
    assert "2 more" in remark and "<unk>" in remark
    for bad in ("", "  ", "?!", "the " * 31, "the " + "x" * 31):
        with pytest.raises(ValueError):
            read_sentence(bad, SOURCE)
    assert len(read_sentence("the " * 30, SOURCE)[0]) == 30


def test_the_player_follows_its_sentence():
    player = EXPLORERS["attention player, attentive"]()
    picker, stepper = player.controls["sentence"], player.controls["at"]
    stepper.value = 7
    picker.list.index = 1
    assert stepper.value == 0 and stepper.steps % len(STAGES) == 0
    picker.text.value = "the platypus sleeps ."
    assert "platypus" in player.text and player.error is None
    picker.text.value = "  "
    assert "no word to read" in player.error
    stepper.next.click()
    assert "no word to read" in player.error
    picker.list.index = 0
    assert player.error is None and "platypus" not in player.text


def test_a_model_without_an_entry_is_refused():
    with pytest.raises(ValueError, match="PLAYS"):
        trace_attention(fixed(), PAIRS[0].source, SOURCE, TARGET, "it")


def test_the_doors_move_and_the_cell_stays():
    cell = note_cell()
    player = gates.door_player(cell, NOTES)
    trace = gates.trace_unit(cell, NOTES)
    assert player.text.endswith("= 0.66;  h = o·tanh(c) = 0.01·0.58 = 0.00") and trace.heard[3] == "write wipe read"
    assert trace.before[0] == pytest.approx([5, 5, 0.8, -5]) and trace.before[3] == pytest.approx([5, -5, -1, 5])
    with player.together():
        player.controls["at"].value, player.controls["forget_bias"].value = 2, -8
    assert "0.00·" in player.text and cell.b.tolist() == [-5, 5, 0, -5]
    with pytest.raises(ValueError, match="no peephole"):
        gates.trace_unit(LSTMCell(4, 1, peephole=True), NOTES)


def test_orders_are_followed():
    player = gates.order_player(note_cell(), [0.5, 0.0], [[True, False], [False, False], [False, False]])
    assert player.text == "shown h, step by step: 0.00, 0.00"
    player.controls["orders"].value = ((True, False), (False, False), (False, True))
    assert player.text == "shown h, step by step: 0.00, 0.42"


def test_forgetting_says_how_much_is_left():
    assert gates.forgetting_slider(0.0).text == "f = σ(0) = 0.5000; after 10 steps 0.001 of c is left."
def test_a_head_that_is_off_is_shown_as_such():
    model, tokens = transformer(), PAIRS[0].source
    written = PAIRS[0].target
    source, target_in = torch.tensor([SOURCE.encode(tokens)]), torch.tensor([[1, *TARGET.encode(written)]])
    for head in all_heads(model):
        on = look_at_head(model, tokens, written, SOURCE, TARGET, head)
        view = look_at_head(model, tokens, written, SOURCE, TARGET, head, off=True)
        assert on.after is None and view.before == on.before and view.written[-1] == "<end>"
        assert view.weights.shape == (len(view.looking), len(view.looked_at))
        assert view.weights.sum(-1) == pytest.approx(1)
        with torch.no_grad(), without(model, [head]):
            p = model(source, target_in).softmax(-1)[0, range(len(written) + 1), [*TARGET.encode(written), END]]
        assert view.after == pytest.approx(p.tolist()) and view.after != pytest.approx(view.before, abs=1e-6)


def test_the_split_film_is_multi_head_attention():
    for heads in (1, 2, 4):
        film = split_film(heads)
        layer = MultiHeadAttention(4, heads, bias=False).double()
        with torch.no_grad():
            layer.in_proj.weight.copy_(torch.tensor(np.concatenate([TINY_Q, TINY_K, TINY_V])))
            layer.out_proj.weight.copy_(torch.tensor(TINY_O))
            x = torch.tensor(film.x)[None]
            output, weights, _ = layer(x, x, x, need_weights=True)
        assert film.output == pytest.approx(output[0].numpy()) and film.weights == pytest.approx(weights[0].numpy())
        assert all((film.owner[h, i] == i).all() for h in range(heads) for i in range(3))
        wrong = split_film(heads, straight=True)
        assert (wrong.owner == film.owner).all() == (heads == 1) == np.allclose(wrong.output, film.output)
    with pytest.raises(ValueError, match="1, 2 or 4"):
        split_film(3)


def test_what_the_memory_widget_says():
    explorer = EXPLORERS["long memory"]()
    assert [explorer.controls[name].value for name in ("memory", "character")] == [0, 50]
    assert "one layer sees the 2 before it, 2 layers reach 2." in explorer.text
    explorer.controls["memory"].value = 32
    assert "one layer sees the 34 before it, 2 layers reach 66." in explorer.text
    explorer.controls["character"].value = 16                             # the last of a segment
    assert "one layer sees the 48 before it, 2 layers reach 80." in explorer.text
    model = a_reader()
    with remembering(model, 32):
        losses = segment_losses(model, READ, 16, lanes=2)
    assert f"perplexity {losses.mean().exp():.2f}; character 16 costs {losses[0, 31]:.2f} nats" in explorer.text
    with pytest.raises(ValueError, match="too few to show 40 segments"):
        long_memory.memory_explorer(model, LETTERS, READ, segment=16, rows=40, lanes=2)
def test_the_transformer_player_shows_what_greedy_does():
    model = transformer()
    for pair in PAIRS:
        film = trace_transformer(model, pair.source, SOURCE, TARGET, longest=7)
        decoded = greedy(model, torch.tensor([SOURCE.encode(pair.source)]), max_length=7)
        said = [TARGET.words[i] if i != END else "<end>" for i in decoded.tokens[0].tolist()]
        assert list(film.written) == said and film.read == ("<begin>", *said[:-1])
        assert film.cross[-1].mean(0) == pytest.approx(decoded.attention[0].numpy(), abs=1e-6)
        assert np.triu(film.decoder, 1).max() == 0 and film.encoder.sum(-1) == pytest.approx(1, abs=1e-5)
        for best, word in zip(film.candidates, said, strict=True):
            assert word in [w for w, _ in best] and best[0][1] >= best[1][1] >= best[2][1]


def test_the_transformer_player_follows_its_sentence():
    player = EXPLORERS["transformer"]()
    player.controls["at"].value = 3
    player.controls["head"].value = 2
    assert "Next word: " in player.text and "across at" in player.text
    player.controls["sentence"].list.index = 1
    assert player.controls["at"].value == 0 and player.controls["head"].value == 2 and player.error is None


def test_the_piece_explorer_refuses_unknown_pieces():
    with pytest.raises(ValueError, match="no piece 'wheels'"):
        piece_explorer([[0.5]], {"wheels": [[0.1]]}, ["3-7"])


def test_a_document_reader_shows_what_the_model_says():
    torch.manual_seed(0)
    model = HierarchicalAttention(len(LETTERS), 2)
    document = Document((tuple("abc"), tuple("de"), tuple("fg")), 0, gold=(0, (1,)))
    reader = document_reader(model, [document], LETTERS, ("one", "two"))
    whole = reader.text
    reader.controls["without"].value = 2
    reading, shares = read_document(model, document, LETTERS, 1)
    logits = model(torch.tensor([[LETTERS.encode(list("abc")), [*LETTERS.encode(list("fg")), 0]]]))[0]
    torch.testing.assert_close(shares, logits.softmax(-1))
    assert f"one {shares[0]:.2f}" in reader.text and "without sentence 2" in reader.text and whole != reader.text
    assert reading.of_sentences[1] == 0 and sum(reading.of_sentences) == pytest.approx(1) and reading.without == 1
    assert [len(row) for row in reading.of_words] == [3, 2, 2] and reading.of_words[1] == [0.0, 0.0]
    with pytest.raises(ValueError, match="at least one sentence"):
        document_reader(model, [], LETTERS, ("one", "two"))
