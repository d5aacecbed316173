"""Writes notebooks/08_attention_scores.ipynb from the cells below (outputs come from tests/refresh.py)."""
import itertools
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

cells, count = [], itertools.count()


def md(text):
    cells.append(new_markdown_cell(text.strip("\n"), id=f"c08-{next(count):03d}"))


def code(text, *, fold=False, loose=False, solution=False):
    tags = ["nbval-ignore-output"] * loose + ["solution"] * solution + ["hide-input"] * (fold or solution)
    meta = {"jupyter": {"source_hidden": True}} if fold or solution else {}
    cells.append(new_code_cell(text.strip("\n"), metadata=meta | ({"tags": tags} if tags else {}), id=f"c08-{next(count):03d}"))


md(r"""
# 08 · How do query and key agree?

Notebook 07 compared a query with a key by one formula, Bahdanau's additive score. There are many others: a dot product, a
cosine, a matrix in between, even a score that does not look at the key at all. This notebook puts them side by side, first on
three words, then in one translator, and asks which of the differences matter.

**In class: 56 min** · at home: 50 min · computing: about 45 s

**Objectives.** After this class you can

1. write down the usual scores, work each of them out by hand, and program it in one line;
2. say how sharp the weights of a score can become, and mend a score that cannot become sharp;
3. explain why $\sqrt d$ helps a Transformer and slows down a new recurrent network;
4. say of any attentive decoder who asks, where the context goes, and what input feeding adds;
5. read a table of models in which a good translation and a good alignment are two different things.

**Prerequisites.** Notebook 07: query, keys, values, softmax, context; Luong's and Bahdanau's step; the alignment error rate.

**Where the idea comes from.** Bahdanau, Cho and Bengio (2015) used one score and did not compare. In the same year Luong, Pham
and Manning tried four of them, Graves, Wayne and Danihelka (2014) had addressed a memory by the cosine, and Vaswani and others (2017) divided the
dot product by $\sqrt d$.
""")

code("""
import math
from statistics import fmean

import torch
import torch.nn.functional as F

from course_utils import metrics, plots, scoreboard, seeds, training
from course_utils.attention.dense import DenseAttention
from course_utils.attention.key_value import KeyValueAttention
from course_utils.attention.scores import (
    AdditiveScore,
    ConcatScore,
    CosineScore,
    DotScore,
    GeneralScore,
    LocationScore,
    NormedScore,
    ScaledDotScore,
)
from course_utils.attention.socket import masked_softmax
from course_utils.attention.steering import SteeredAttention, forced, plugged
from course_utils.attention.table import PLUGS
from course_utils.corpora import mini
from course_utils.exercises import ex08
from course_utils.experiments.nb08 import new_model, recipes
from course_utils.plots import architectures
from course_utils.seq2seq.attentive import AttentiveSeq2Seq
from course_utils.teaching.claims import claim
from course_utils.teaching.predict import predict
from course_utils.teaching.source import show_source
from course_utils.text.vocabulary import BEGIN, detokenise
from course_utils.widgets.scores import score_explorer
""", fold=True)

md(r"""
## 1 · One question, six answers · 15 min

A decoder has written *une pomme*, and the next French word is *rouge*. Its state $s$ should find the English word *red*. To keep
every number on the page, all states have two entries:
""")
code("""
words = ["a", "red", "apple"]
h = torch.tensor([[-1.0, 0.5], [0.5, 1.5], [3.0, 1.0]], dtype=torch.float64)  # (S, 2) keys, one row per word
s = torch.tensor([1.0, 2.0], dtype=torch.float64)  # (2,) the query
""")
md(r"""
**The dot product**, $s \cdot h_j$, is the plainest way to ask whether two vectors agree. It needs no parameters, so there is
nothing to train in it. All learning happens in the states themselves, which must come to point where they should.
""")
code("""
predict(
    "Which word gets the largest dot product with s = (1, 2)?", ["a (-1, 0.5)", "red (0.5, 1.5)", "apple (3, 1)"],
    answer="apple (3, 1)",
    because="The scores are 0, 3.5 and 5. *red* points almost exactly where the query points, but *apple* is longer, "
            "and a dot product grows with length.",
)
""", fold=True)
md(r"""
A longer key wins although it points elsewhere. There are three ways out. We can take the lengths away: that is the **cosine**,
$s \cdot h_j / (|s|\,|h_j|)$. We can put a learnt matrix between the two, $s \cdot W h_j$, which turns and stretches the keys before they are
compared: Luong's **general** score. Or we can let a small network look at both, $v \cdot \tanh(W s + U h_j)$: Bahdanau's
**additive** score. Training would find the matrices; here we set them by hand.

The **scaled** dot product divides by $\sqrt d$, the root of the width. It changes no order, only how far the scores are apart.
And Luong's **location** score $(W_a s)_j$ does not look at $h_j$ at all: row $j$ of $W_a$ belongs to the $j$-th *place* of the sentence.
""")
code("""
W = torch.tensor([[-0.5, 0.0], [0.0, 2.0]]).double()  # general
W_add = torch.tensor([[0.5, -0.25], [0.0, 0.25]]).double()  # additive: W, U and v
U = torch.tensor([[-1.0, 2.0], [1.0, 0.0]]).double()
v = torch.tensor([2.0, 1.5]).double()
W_a = torch.tensor([[-1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]).double()  # location: three places
""")
code("""
SCORES = {
    "dot": lambda s, h: h @ s,
    "scaled dot": lambda s, h: h @ s / len(s) ** 0.5,
    "cosine": lambda s, h: h @ s / (h.norm(dim=-1) * s.norm()),
    "general": lambda s, h: h @ W.T @ s,
    "additive": lambda s, h: torch.tanh(W_add @ s + h @ U.T) @ v,
    "location": lambda s, h: W_a[: len(h)] @ s,
}
for name, score in SCORES.items():
    e = score(s, h)  # (S,) scores
    listed = "   ".join(f"{word} {x:5.2f} → {a:.2f}" for word, x, a in zip(words, e, e.softmax(0)))
    print(f"{name:12} {listed}")
""")
md(r"""
Each line shows score → weight. The dot product looks at *apple*; the three ways out look at *red*. But compare the cosine with the other
two: it has the right word on top, and gives it less than half of the weight. Section 2 is about that.

What each of them asks for, with $d$ the width of both vectors:

| score | formula | parameters | from |
|---|---|---|---|
| dot | $s \cdot h_j$ | 0 | Luong 2015, section 3.1 |
| scaled dot | $s \cdot h_j / \sqrt d$ | 0 | Vaswani 2017, eq. 1 |
| cosine | $g\, s \cdot h_j / (\lvert s\rvert \lvert h_j\rvert)$, $g = 1$ or learnt | 0 or 1 | Graves 2014 |
| general | $s \cdot W h_j$ | $d^2$ | Luong 2015, section 3.1 |
| additive | $v \cdot \tanh(W s + U h_j)$ | $2d^2 + d$ | Bahdanau 2015, A.1.2 |
| location | $(W_a s)_j$ | $d$ × places | Luong 2015, section 3.1 |
""")
code("""
predict(
    "Now *red* and *apple* change places in the sentence, and their states with them. In which score does the weight "
    "*not* move along with its word?",
    ["dot", "cosine", "additive", "location"], answer="location",
    because="The others compare the query with each key, wherever it stands. The location score has decided for the "
            "second place, whatever stands there.",
)
""", fold=True)
code("""
order = torch.tensor([0, 2, 1])
moved = {name: float((score(s, h[order]) - score(s, h)[order]).abs().max()) for name, score in SCORES.items()}
claim("Five scores follow their words", {"largest difference": max(moved[name] for name in list(SCORES)[:5])},
      "largest difference < 1e-12")
claim("The location score does not", {"difference": moved["location"]}, "difference > 0.5")
""", fold=True)
md(r"""
**Exercise 08.1 · ●●○○○ · 6 min · in class** - the cosine with a strength

Write `my_cosine(queries, keys, strength)`: `queries` (B, T, D), `keys` (B, S, D), `strength` a number. Return the scores
(B, T, S), strength · q·k / (|q||k|). A vector of zeros, query or key, has score 0 with everything. Vectors may be short or
long.
""")
code("""
def my_cosine(queries, keys, strength):
    return ...


ex08.check_08_1(my_cosine)
""")
md(r"""
<details><summary>Hint 1</summary>Bring every vector to length 1 first; then the cosine is a dot product. Which dimension is its length
taken over?</details>

<details><summary>Hint 2</summary><code>F.normalize(x, dim=-1)</code> divides by the length and leaves zeros alone.</details>
""")
code("""
# Solution (click the dots)
def solution_08_1(queries, keys, strength):
    return strength * F.normalize(queries, dim=-1) @ F.normalize(keys, dim=-1).transpose(1, 2)


assert ex08.check_08_1(solution_08_1)
""", solution=True)
md(r"""
**The package's versions** work in two halves. `project_key` sees only the keys, so a decoder calls it once per sentence;
`compare` is done for every query.
""")
code("""
show_source(GeneralScore.project_key, GeneralScore.compare, CosineScore.compare, LocationScore.compare, doors=False,
            docstrings=False)
PACKAGE = {
    "dot": (DotScore(), {}), "scaled dot": (ScaledDotScore(), {}), "cosine": (CosineScore(), {}),
    "general": (GeneralScore(2, 2), {"W.weight": W}),
    "additive": (AdditiveScore(2, 2, 2), {"W.weight": W_add, "U.weight": U, "v": v}),
    "location": (LocationScore(2, 3), {"W.weight": W_a}),
}
off = {}
for name, (score, ours) in PACKAGE.items():
    score.double().load_state_dict(ours)
    off[name] = float((score(s.view(1, 1, 2), h[None])[0, 0] - SCORES[name](s, h)).detach().abs().max())
claim("All six give the numbers above", {"largest difference": max(off.values())}, "largest difference < 1e-12")
""")
md(r"""
**We now know** the usual scores, and that they differ in three things: whether lengths count, whether something is learnt between query and
key, and whether the key is looked at at all.
""")

md(r"""
## 2 · How sharp can it be? · 8 min

After the softmax only the *differences* between scores matter: if one score lies $c$ above another, its weight is $e^c$ times as
large. A dot product has no limit, so training can make the weights as sharp as it likes. A cosine lies between -1 and 1.
""")
code("""
predict(
    "A sentence of 16 words, plain cosine. The right key points exactly where the query points, the 15 others "
    "exactly the other way. How large is the weight of the right word?",
    answer=0.33, tolerance=0.03,
    because="$e^{1} / (e^{1} + 15\\\\,e^{-1}) = 1 / (1 + 15\\\\,e^{-2}) = 0.33$. Two thirds of the context come from words "
            "that point the other way, and it cannot get better than that.",
)
""", fold=True)
code("""
for n in (4, 8, 16, 32):
    best = 1 / (1 + (n - 1) * math.exp(-2))
    print(f"{n:2} words: largest possible weight of a plain cosine {best:.2f}")
""")
md(r"""
The remedy is one number. Multiply the cosine by a factor $g$, let training choose it, and start it at 10, so that the model can be
sharp from the beginning. Graves and others call it the **key strength**. One over this factor is what physics and language models call
the **temperature**. Move the factor, choose another score, and change the length of *apple*:
""")
code("""
score_explorer(words, s, h, SCORES, kind="cosine")
""")
md(r"""
With the cosine, a factor of 10 gives *red* nearly everything, and the length of *apple* changes nothing. With the dot product a
larger factor only makes the wrong word more certain, and shortening *apple* repairs it.

**Exercise 08.2 · ●●○○○ · 4 min · in class** - how strong must a cosine be?

A sentence has 16 words. The right key points exactly where the query points, and the 15 others exactly the other way: the best
case there is. With the score g · cos(q, k), how large must g be for the right word to get the weight 0.9? Write a number, to two
decimals.
""")
code("""
my_strength = ...

_ = ex08.check_08_2(my_strength)
""")
md(r"""
<details><summary>Hint 1</summary>The scores are g and, 15 times, -g. Write the largest weight as a fraction, and divide by e to the
power g.</details>

<details><summary>Hint 2</summary>1 / (1 + 15 e<sup>-2g</sup>) = 0.9.</details>
""")
code("""
# Solution (click the dots)
solution_08_2 = 0.5 * math.log(9 * 15)
assert ex08.check_08_2(solution_08_2)
""", solution=True)
md(r"""
**We now know** that a score needs room to become sharp, and that one factor can give it that room.

## 3 · What √d is for · 5 min

Vaswani and others divide by $\sqrt d$ because a dot product of two vectors with $d$ entries of variance 1 has the standard
deviation $\sqrt d$: undivided, the softmax of a wide layer would be a hard maximum before training begins (notebook 13). The argument is right, *if* the
entries have variance 1. Here is a recurrent translator that has not been trained yet, with 128 units:
""")
code("""
english, french = recipes.vocabularies()
fresh = {}
for name in ("dot", "scaled_dot"):
    _ = seeds.seed_everything(0)
    model = recipes.build_model(name, len(english), len(french))
    fresh[name] = new_model.sizes(model, mini.load_split("valid", 100), english, french)
print(f"standard deviation of the entries of a query {fresh['dot']['query']:.2f}, of a key {fresh['dot']['key']:.2f}")
for name, found in fresh.items():
    print(f"{name:10} scores of one query spread by {found['scores']:.2f}, the largest weight is on average "
          f"{found['largest']:.3f} (equal weights: {found['equal']:.3f})")
""", fold=True)
code("""
claim("In a new GRU the entries are far from variance 1", {"query": fresh["dot"]["query"], "key": fresh["dot"]["key"]},
      "query < key < 0.25")
claim("Divided by √128, the weights of a new model are equal to within a few per cent",
      {"largest / equal": fresh["scaled_dot"]["largest"] / fresh["scaled_dot"]["equal"]}, "largest / equal < 1.05")
""", fold=True)
md(r"""
The entries of a new GRU are about 0.15, not 1, so the scores are small already, and $\sqrt{128}$ makes them eleven times smaller. All
words then get the same weight, and the gradient that should tell them apart is eleven times smaller as well. We shall see
in section 5 whether this costs anything. **We now know** that a scale is a matter of how large the vectors *are*, not only of how many
entries they have.
""")

md(r"""
## 4 · Who asks, and where the context goes · 13 min

Which state is the query? Students ask it most often of all ("`hidden` or `output`, $s_{i-1}$ or $s_i$?"), and it is a
question apart from the score. Three orders are in use. The orange arrow is the query, the green one the context.
""")
code("""
plots.show(
    architectures.decoder_orders(),
    alt="Three decoders. Bahdanau: the old state asks, the context enters the cell together with the word. Luong: the "
        "cell reads the word, the new state asks, the context joins it on the way to the output and, dashed, is fed "
        "into the next step. Conditional GRU: a first cell reads the word and asks, a second takes the context.",
)
""", fold=True)
md(r"""
| | the query has read $y_{i-1}$ | the context reaches the next state |
|---|---|---|
| Bahdanau 2015 | no | yes, through the cell |
| Luong 2015 | yes | only with input feeding |
| conditional GRU (Nematus) | yes | yes, through the second cell |

**Input feeding** (Luong, section 3.3). In Luong's decoder the context passes the recurrence by: what was read for one word is
forgotten before the next. So the paper feeds the *attentional vector* $\tilde h_i = \tanh(W_c[s_i; C_i])$ back in, side by side with the next
word: the cell's input becomes $[y_i; \tilde h_i]$, and $\tilde h_0 = 0$. The decoder then knows where it has looked. The price is parallelism: a state
now depends on the contexts before it, and the words must be computed one by one, in training too.
""")
code("""
show_source(AttentiveSeq2Seq._word_by_word, docstrings=False)


def heard(feeding):
    _ = seeds.seed_everything(0)
    model = AttentiveSeq2Seq(8, 9, d_embedding=3, d_hidden=2, input_feeding=feeding).double().eval()
    source, target = torch.tensor([[4, 5, 6]]), torch.tensor([[BEGIN, 4, 5]])
    moved = forced(torch.tensor([[[0.0, 0.0, 1.0]]]).double())  # all weight of the *first* look on the third word
    with plugged(model, SteeredAttention(model.attention, moved)):
        steered = model(source, target)
    return (steered - model(source, target)).abs().amax(-1)[0].tolist()  # change of the logits, one number per word


changed = {feeding: heard(feeding) for feeding in (False, True)}
""")
code("""
predict(
    "We move the weight of the first look by hand, without and with input feeding. Whose second and third word hear "
    "of it?",
    ["both decoders'", "only with input feeding", "only without", "neither"], answer="only with input feeding",
    because="Without it the context goes to the output and nowhere else.",
)
""", fold=True)
code("""
claim("Without input feeding the later words do not hear of it", {"change": max(changed[False][1:])}, "change < 1e-15")
claim("With it they do", {"second word": changed[True][1]}, "second word > 0.01")
claim("and go on doing so", {"third word": changed[True][2]}, "third word > 0.01")
""", fold=True)
md(r"""
**Exercise 08.3 · ●●●○○ · 8 min · in class** - a step with input feeding

Write `my_feeding_step(word, fed, state, states, mask, score, gru, W_c)`, one step of Luong's decoder with input feeding: `word`
(B, H) the embedding of $y_{i-1}$, `fed` (B, H) the attentional vector of the step before, `state` (B, H) the cell's old state,
`states` (B, S, H) the encoder's, `mask` (B, S) bool, True at real words. `score(query, keys)` gives (B, S); `gru(input, state)`
the new state, its input is [word; fed]. The attentional vector is tanh(W_c [s; C]), `W_c` (H, 2H). Return it (B, H), and the
new state (B, H).
""")
code("""
def my_feeding_step(word, fed, state, states, mask, score, gru, W_c):
    return ..., ...


ex08.check_08_3(my_feeding_step)
""")
md(r"""
<details><summary>Hint 1</summary>First the cell moves, then its new state asks, then state and context are joined.</details>

<details><summary>Hint 2</summary><code>masked_softmax(score(state, states), mask)</code> gives the weights,
<code>(weights.unsqueeze(1) @ states).squeeze(1)</code> the context.</details>
""")
code("""
# Solution (click the dots)
def solution_08_3(word, fed, state, states, mask, score, gru, W_c):
    state = gru(torch.cat([word, fed], -1), state)
    weights = masked_softmax(score(state, states), mask)
    context = (weights.unsqueeze(1) @ states).squeeze(1)
    return torch.tanh(torch.cat([state, context], -1) @ W_c.T), state


assert ex08.check_08_3(solution_08_3)
""", solution=True)
md(r"""
**We now know** that score and wiring are two choices: any of the six scores can stand in any of the three decoders.
""")

exec(compile(Path("/work/nb08/draft08/table08.py").read_text(), "table08", "exec"))

md(r"""
# At home

Nothing later in the course depends on these sections.
""")
md(r"""
## What we measured

| claim | section |
|---|---|
| six scores by hand and in the package: the same numbers; five follow their word, the location score does not | 1 |
| a plain cosine over 16 words gives its best word at most 0.33 | 2 |
| in a new recurrent model queries and keys have entries of about 0.15; divided by √d all weights are nearly equal | 3 |
| with input feeding a context is heard by the words after it, without it by none | 4 |
| the plain cosine is the worst score, and one learnt number makes it one of the best; √d makes the dot product worse here | 5 |
| without looking at the source the location score translates well and aligns badly | 6 |
| concat is the additive score; without its tanh the query does not matter | at home |
""")
code("""
e = torch.tensor([0.3, -1.0, 2.0])
shifted = {c: float(((e + c).softmax(0) - e.softmax(0)).abs().max()) for c in (1.0, 100.0, 1e4)}
claim("Adding one number to all scores changes no weight", {"largest change": max(shifted.values())},
      "largest change < 1e-3")
""", fold=True)

md(r"""
## Concat, and its missing tanh

Luong lists a fourth content score, **concat**: $v \cdot \tanh(W [s; h_j])$. Cut $W$ into the columns that meet $s$ and those that
meet $h_j$, and it is $v \cdot \tanh(W_1 s + W_2 h_j)$: the additive score under another name.
""")
code("""
additive, concat = PACKAGE["additive"][0], ConcatScore(2, 2, 2).double()
_ = concat.load_state_dict({"W.weight": torch.cat([W_add, U], 1), "v": v})
difference = concat(s.view(1, 1, 2), h[None]) - additive(s.view(1, 1, 2), h[None])
claim("Concat is the additive score", {"largest difference": float(difference.detach().abs().max())},
      "largest difference < 1e-12")
""")
md(r"""
Luong reports bad results for it (perplexity 6.7 with global attention, against 6.1 for the dot product), and names a likely reason himself, in footnote 15: in his
code the part of $W$ that meets $h_j$ was fixed to the identity. What ran was $v \cdot \tanh(W s + h_j)$. The scoreboard has that
score, too, as `concat_as_run`.

Public code has had another fault for years: no tanh at all.

**Exercise 08.4 · ●●●○○ · 6 min · at home** - repair a concat score

This code is modelled on a well-known tutorial. Its users reported that the decoder looks at the same word all the time. `queries`
(B, T, Dq), `keys` (B, S, Dk), `W` (A, Dq + Dk), `v` (A,). It should return the weights (B, T, S) of Luong's concat score,
$v \cdot \tanh(W [q; k])$. Repair it:
""")
code("""
def my_concat(queries, keys, W, v):
    T, S = queries.shape[1], keys.shape[1]
    q = queries.unsqueeze(2).expand(-1, -1, S, -1)
    k = keys.unsqueeze(1).expand(-1, T, -1, -1)
    scores = torch.cat([q, k], -1) @ W.T @ v
    return scores.softmax(-1)


ex08.check_08_4(my_concat)
""")
md(r"""
<details><summary>Hint 1</summary>Print the weights of two queries. What do you see, and which part of the score can softmax not
see?</details>

<details><summary>Hint 2</summary>v · W [q; k] = (part of q) + (part of k). Compare with the formula: what is missing between W and
v?</details>
""")
code("""
# Solution (click the dots)
def solution_08_4(queries, keys, W, v):
    T, S = queries.shape[1], keys.shape[1]
    q = queries.unsqueeze(2).expand(-1, -1, S, -1)
    k = keys.unsqueeze(1).expand(-1, T, -1, -1)
    return (torch.tanh(torch.cat([q, k], -1) @ W.T) @ v).softmax(-1)


assert ex08.check_08_4(solution_08_4)
""", solution=True)

md(r"""
## Normed Bahdanau

TensorFlow offered a variant that has no paper of its own: the additive score with the *length* of $v$ as a parameter $g$ of its own
and a bias, $g\,\frac{v}{|v|} \cdot \tanh(W s + U h_j + b)$. This is weight normalisation (Salimans and Kingma 2016), and $g$ is again a key strength. It starts
at $\sqrt{1/d}$, so that a new model is flat.
""")
code("""
show_source(NormedScore.compare, docstrings=False, doors=False)
normed = NormedScore(2, 2, 2).double()
_ = normed.load_state_dict({"W.weight": W_add, "U.weight": U, "v": 3 * v, "g": v.norm(), "b": torch.zeros(2)})
difference = normed(s.view(1, 1, 2), h[None]) - additive(s.view(1, 1, 2), h[None])
claim("With g = |v| and b = 0 it is the additive score",
      {"largest difference": float(difference.detach().abs().max())}, "largest difference < 1e-12")
""")

md(r"""
## Attention without keys

**Exercise 08.5 · ●●○○○ · 8 min · at home** - attention without keys

Write `my_location(queries, W, n_words)`, the weights of the location score: `queries` (B, T, D), `W` (P, D) has a row for each of
the first P places, `n_words` is the length S of the sentence, the same for the whole batch. Return (B, T, S), rows that sum to 1. Where
S < P use the first S places; where S > P the words beyond get weight 0.
""")
code("""
def my_location(queries, W, n_words):
    return ...


ex08.check_08_5(my_location)
""")
md(r"""
<details><summary>Hint 1</summary><code>queries @ W.T</code> are the scores of all P places. Which of them does this sentence
have?</details>

<details><summary>Hint 2</summary>Cut before the softmax; <code>F.pad(weights, (0, n))</code> appends n zeros.</details>
""")
code("""
# Solution (click the dots)
def solution_08_5(queries, W, n_words):
    known = min(n_words, len(W))
    return F.pad((queries @ W[:known].T).softmax(-1), (0, n_words - known))


assert ex08.check_08_5(solution_08_5)
""", solution=True)

md(r"""
## Key ≠ value

So far $h_j$ has done two jobs: it was compared, and it was what the decoder got. With two matrices each job has a vector of its
own, $k_j = W_K h_j$ and $v_j = W_V h_j$. A state can then be *found* by one feature and *report* another.
""")
code("""
show_source(KeyValueAttention.forward, docstrings=False, doors=False)
keys, values = h[None], torch.tensor([[[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]]).double()
attend, query = DenseAttention(DotScore()), s.view(1, 1, 2)
context, weights, _ = attend(query, keys, values, need_weights=True)
other, same_weights, _ = attend(query, keys, values[:, order], need_weights=True)
claim("Values in another order: the same weights", {"change": float((weights - same_weights).abs().max())},
      "change < 1e-12")
claim("but another context", {"change": float((context - other).abs().max())}, "change > 0.1")
""")
md(r"""
TensorFlow's Luong attention compared with transformed states and summed the untransformed ones: key ≠ value, by the back door. From
notebook 13 on, every layer has three matrices, for queries, keys and values.

## A softmax that can stand it

An unbounded score also makes demands on the softmax.

**Exercise 08.6 · ●●●○○ · 7 min · at home** - repair a softmax

This softmax is how several early programs wrote it. `scores` (B, S) float, `mask` (B, S) bool, True = a real word; every row has
one. Return the weights (B, S), 0 on pads. Scores may be hundreds above or below 0, those of pads anything finite. Repair it:
""")
code("""
def my_weights(scores, mask):
    e = scores.exp() * mask
    return e / e.sum(-1, keepdim=True)


ex08.check_08_6(my_weights)
""")
md(r"""
<details><summary>Hint 1</summary>What is e to the power of 200? And what changes if the same number is taken from every score of a
row?</details>

<details><summary>Hint 2</summary>Take away the largest score of the row, but of its real words only.</details>
""")
code("""
# Solution (click the dots)
def solution_08_6(scores, mask):
    real = scores.masked_fill(~mask, -torch.inf)
    e = (real - real.amax(-1, keepdim=True)).exp()
    return e / e.sum(-1, keepdim=True)


assert ex08.check_08_6(solution_08_6)
""", solution=True)

md(r"""
## Maps of what is still to come

**Three kinds of attention**, by where query and keys come from. From one sequence to another, X → Y: notebooks 07 to 10, 12 and 16. Over one sequence with a
learnt query, to sum it up: notebook 11. Within one sequence, every word asking every word: from notebook 13 on.

**The survey's four axes** (Chaudhari and others 2021) sort the literature by questions that a paper answers one by one:

| axis | values | here |
|---|---|---|
| how many sequences? | distinct, co-attention, self | 07-12; -; 13 on |
| how many levels of abstraction? | one, several | 11 (words and sentences) |
| which positions? | all softly, one, a window | 09, 20, 21 |
| how many representations? | one, several | 14 (heads) |

Another survey (Galassi, Lippi and Torroni 2021) also counts four: what comes in, the *compatibility function* (this notebook), the
*distribution function* (softmax or something else: notebook 09), and how many inputs and outputs there are. If somebody says "the four axes", ask
whose.

## What came after

- **Scaled dot products won** because one matrix product computes all scores, and a fused kernel never stores them (notebooks 13, 16). An additive score needs a hidden
  layer for every pair.
- **Query-key normalisation** (Henry and others 2020) is the cosine with a learnt strength, put back into the Transformer: large models use it to keep
  their scores from growing without bound.
- **Attention temperature** as a setting at decoding time, and scales that grow with $\log n$ for long texts, follow from section 2: with
  more words the same scores give a flatter softmax.

## Often said, and wrong

- *"Bahdanau's attention is local and looks at one state per step, Luong's is global."* Bahdanau's looks at all states, at every
  step. Luong's *local* attention is a window (notebook 09).
- *"Dot-product attention has parameters."* Only its surroundings have. But some libraries call *dot* what runs the keys through a matrix first; that
  is the general score.
- *"√d makes attention better."* It gives scores of a certain size for entries of a certain size. It is a part of the first weights, not
  of the idea.
- *"Concat is worse than dot."* Luong's table says so, of a program in which half of its matrix was the identity.
- *"A bias in the key's matrix helps."* In a product it adds the same to all scores of a query, and the softmax takes it away: its
  gradient is zero.

## Questions to think about

1. With *general*, does it matter whether $W$ is on the side of the query or of the key?
2. A sentence of one word: which gradient does the score get?
3. The location score knows only the query. How can it know when the French word order turns around?

<details><summary>Answers</summary>

1. Not for the numbers: $s \cdot W h = W^\top s \cdot h$. It does for the work: the keys are projected once per sentence, a query for
   every word.
2. None. Its weight is 1, whatever the score is.
3. From the words written so far: the decoder's state has read them. After *pomme* a state may have learnt that the next word often stands one place
   back. It cannot know whether there *is* an adjective.
</details>

## Where we differ from the paper

- `AttentiveSeq2Seq` has Luong's step with a GRU of one layer and a bidirectional encoder of half the width each way; he has
  four LSTM layers in one direction, SGD, and a reversed source. Our table is of 2,000 sentence pairs.
- The key strength of Graves and others is chosen by the network for every query, and kept positive; ours is one number.
- The location score uses the first S of its rows for a sentence of S words, as in footnote 6.
- The conditional GRU of Nematus gives the readout the state after the look; ours the one before.

## Glossary

| English | 中文 | meaning here |
|---|---|---|
| score (compatibility function) | 打分函数、相容性函数 | how well a query agrees with a key, before the softmax |
| dot product | 点积 | sum of the products of the entries |
| cosine similarity | 余弦相似度 | dot product of the two vectors at length 1 |
| bilinear (general) score | 双线性打分 | a learnt matrix between query and key |
| additive score | 加性打分 | a hidden layer over query and key |
| location score | 基于位置的打分 | from the query alone, one score per place |
| key strength, temperature | 键强度、温度 | a factor before the softmax; temperature is one over it |
| input feeding | 输入反馈 | the attentional vector enters the next step |
| attentional vector | 注意力向量 | tanh(W [s; C]), what Luong's decoder speaks from |
| perplexity | 困惑度 | e to the mean loss per token |
| alignment error rate | 对齐错误率 | distance of a map from the gold alignment |

## References

- Bahdanau, Cho, Bengio. *Neural Machine Translation by Jointly Learning to Align and Translate.* ICLR 2015.
- Luong, Pham, Manning. *Effective Approaches to Attention-based Neural Machine Translation.* EMNLP 2015.
- Graves, Wayne, Danihelka. *Neural Turing Machines.* arXiv 2014.
- Vaswani and others. *Attention Is All You Need.* NeurIPS 2017.
- Britz, Goldie, Luong, Le. *Massive Exploration of Neural Machine Translation Architectures.* EMNLP 2017.
- Salimans, Kingma. *Weight Normalization.* NeurIPS 2016.
- Sennrich and others. *Nematus: a Toolkit for Neural Machine Translation.* EACL 2017.
- Miller and others. *Key-Value Memory Networks for Directly Reading Documents.* EMNLP 2016.
- Daniluk, Rocktäschel, Welbl, Riedel. *Frustratingly Short Attention Spans in Neural Language Modeling.* ICLR 2017.
- Henry and others. *Query-Key Normalization for Transformers.* Findings of EMNLP 2020.
- Chaudhari and others. *An Attentive Survey of Attention Models.* ACM TIST 2021.
- Galassi, Lippi, Torroni. *Attention in Natural Language Processing.* IEEE TNNLS 2021.

## Next

So far every query looks at every word, softly. Must it? Notebook 09 looks through a window, takes one word alone, and learns to
walk forwards.
""")

notebook = new_notebook(cells=cells)
notebook.metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}, "language_info": {"name": "python"}}
nbformat.write(notebook, Path("/work/nb08/notebooks/08_attention_scores.ipynb"))
