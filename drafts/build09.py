"""Writes notebooks/09_where_to_look.ipynb from the cells below (outputs come from tests/refresh.py)."""
import html
import itertools
import re
import sys
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

sys.path.insert(0, "tests")
from hygiene import GUARD  # noqa: E402
from refresh import METADATA  # noqa: E402

from course_utils.exercises import ex09  # noqa: E402, F401  (fills TEXTS)
from course_utils.exercises.checking import TEXTS  # noqa: E402

cells, count = [], itertools.count()


def md(text):
    cells.append(new_markdown_cell(text.strip("\n"), id=f"c09-{next(count):03d}"))


def code(text, *, fold=False, loose=False, solution=False):
    tags = ["nbval-ignore-output"] * loose + ["solution"] * solution + ["hide-input"] * (fold or solution)
    meta = {"jupyter": {"source_hidden": True}} if fold or solution else {}
    cells.append(new_code_cell(text.strip("\n"), metadata=meta | ({"tags": tags} if tags else {}),
                               id=f"c09-{next(count):03d}"))


def hint(k, text):
    parts = " ".join(text.split()).split("`")
    said = "".join(f"<code>{html.escape(p, quote=False)}</code>" if n % 2 else html.escape(p, quote=False)
                   for n, p in enumerate(parts))
    return f"<details><summary>Hint {k}</summary>{said}</details>"


def exercise(number, cell, solution):
    """The four cells of an exercise; task and hints from the check's docstring."""
    task, _, rest = TEXTS[number].partition("\nHint 1: ")
    one, _, rest = rest.partition("\nHint 2: ")
    two = rest.partition("\nSolution: ")[0]
    if "\n\n    def " in task:
        task = task[: task.index("\n\n    def ")]  # the faulty code stands in the cell
    md(task)
    code(cell)
    md(hint(1, one) + "\n\n" + hint(2, two))
    code("# Solution (click the dots)\n\n" + solution.strip("\n"), solution=True)


md(r"""
# 09 · Must it look everywhere, softly?

In notebooks 07 and 08 the decoder compared its state with *every* source word and took a *mixture* of what it found. Both
can be changed. It may look at a few words only, through a window; then the question is where the window should stand. And
it may take one word instead of a mixture. That sounds like a small step, but a choice has no gradient, and so the training
has to be thought out anew.

**In class: 60 min** · at home: 60 min · computing: about 45 s

**Objectives.** After this class you can

1. say what Luong's global, local-m and local-p attention see, and work out their weights by hand;
2. explain where the gradient of a predicted window comes from, and where it ends;
3. replace soft weights by a choice, and say why an argmax alone cannot be trained;
4. derive REINFORCE for one draw, and say what a baseline changes and what it does not;
5. tell apart three objectives that are often taken for one another, by their numbers.

**Prerequisites.** Notebook 07: query, keys, context, Luong's decoder, the alignment error rate (AER: the share of wrong links,
0 is perfect). Notebook 08: the general score. **Perplexity** is e to the mean surprise per word: a model with perplexity 3 is as
unsure as someone who chooses among three equally likely words.

**Where the ideas come from.** Networks that look at a picture through a small moving window are older than the soft
attention of notebook 07; Mnih and others at DeepMind (2014) trained one with an algorithm of 1992, REINFORCE. Xu and others (2015)
wrote captions for photographs with soft and with hard attention, side by side. In the same year Luong, Pham and Manning
brought the window to translation, because long sentences made looking everywhere expensive.
""")

code(GUARD + """
from statistics import fmean

import torch
import torch.nn.functional as F

from course_utils import plots, scoreboard, seeds, training
from course_utils.attention.hard import HardAttention, one_of, surrogate
from course_utils.attention.local import LocalMonotonicAttention, LocalPredictiveAttention
from course_utils.attention.location_aware import LocationAwareAttention
from course_utils.attention.monotonic import MonotonicAttention, walk
from course_utils.attention.scores import DotScore
from course_utils.attention.socket import masked_softmax
from course_utils.attention.steering import plugged
from course_utils.corpora import mini, parallel
from course_utils.exercises import ex09
from course_utils.experiments.nb09 import copying, looks, objectives, online, recipes
from course_utils.metrics import alignment_error_rate, forced_alignment, forced_attention
from course_utils.plots import architectures, where
from course_utils.seq2seq.attentive import AttentiveSeq2Seq
from course_utils.seq2seq.decoding import translate
from course_utils.teaching.claims import claim
from course_utils.teaching.predict import predict
from course_utils.teaching.source import show_source
from course_utils.text.batches import Batches
from course_utils.text.vocabulary import detokenise
from course_utils.widgets.where import walk_player, window_explorer
""", fold=True)

# --------------------------------------------------------------------------------------------------------------- 1
md(r"""
## 1 · A window that walks along · 7 min

One small example will serve us for the whole class: an English sentence of six words, its French translation, and a score
for every pair of them. We set the scores by hand, so that every number can be followed. With **global** attention, which is
what notebooks 07 and 08 used, all six words share the weight of each target word.
""")

code("""
source, target = "the black cat sees her .".split(), "le chat noir la voit .".split()
scores = torch.tensor([[3., 0, 1, 0, 0, -1], [1, 2, 4, 0, 1, -1], [0, 4, 2, 0, 0, -1],
                       [1, 0, 0, 2, 4, -1], [0, 0, 1, 4, 3, -1], [0, 0, 0, 0, 0, 4]]).double()  # (T, S)
print(torch.softmax(scores, -1).numpy().round(2))
""")

md(r"""
Most of these weights are small, but none of them is 0: every word costs work, and in a long text the many small weights add
up. Here is the second target word, *chat*, in the three versions that Luong compared. (Places are counted from 0, as in the
code; the thicker a green line, the larger the weight.)
""")

code("""
plots.show(
    architectures.windows(source[:5], scores[1, :5].tolist(), t=1, centre=1.4, window=1),
    alt="Three drawings for the target word chat. Global: all five source words are framed and feed the context. "
        "Local-m: the frame holds the words 0 to 2, around place t = 1. Local-p: the state predicts p = 1.4, the frame "
        "holds words 1 and 2, a Gaussian curve stands above them, and the weights sum to 0.52.",
)
""", fold=True)

md(r"""
English and French keep nearly the same order, so the word that translates target word t usually stands near place t. This is
what **local-m** relies on (m for *monotonic*): its window holds the words from $t - D$ to $t + D$, and the softmax runs inside the
window. Nothing about the place is learnt.
""")

code("""
D, places = 1, torch.arange(6)
near = (places - places[:, None]).abs() <= D  # (T, S): is source word s within D words of place t?
print(masked_softmax(scores, near).numpy().round(2))
""")

code("""
predict(
    "Suppose that French needed two words for every English word. Where does the rule p = t put the window for the "
    "last words of the translation?",
    ["on the last source words", "beyond the end of the source", "in the middle of the source"],
    answer="beyond the end of the source",
    because="The window moves one word at a time with the target, so after half of the translation it has reached the "
            "end of the source. The paper does not say what happens then; in the authors' code the window stays at "
            "the last word, and so it does in ours.",
)
""", fold=True)

md(r"""
The package's class does the same for a whole batch. `last_place` finds the last real word of each sentence, and
`self.dense` is the attention of notebook 07, which is handed one more mask.
""")

code("show_source(LocalMonotonicAttention.forward, docstrings=False, doors=False)")

md(r"""
All scores are still computed, and those outside the window are masked, so nothing is saved yet. On long texts a window saves
a great deal (notebook 20); here it is only about *where to look*.

**We now know** that a window is a mask that depends on t, and that local-m assumes that both languages run at the same pace.
""")

# --------------------------------------------------------------------------------------------------------------- 2
md(r"""
## 2 · A window that is predicted · 14 min

Where the pace differs, the decoder itself has to say where its window stands. In **local-p** (p for *predictive*) a small
network reads the decoder's state $q_t$ and answers with a place $p_t$, a real number between the first word and the last:

$$p_t = (S - 1)\,\sigma\big(v \cdot \tanh(W_p\, q_t)\big), \qquad
a_t(s) = \operatorname*{softmax}_{|s - p_t| \le D}(\alpha_{ts}) \cdot \exp\Big(-\frac{(s - p_t)^2}{2\sigma^2}\Big), \quad \sigma = D/2$$

(The sigmoid σ(·) gives a number between 0 and 1; the σ in the exponent is the width of the Gaussian, half of D.)
Why a Gaussian? The edge of the window is a step. If only the window depended on $p_t$, a small move of $p_t$ would change
nothing until a word crosses the edge. The gradient would be zero almost everywhere, and $W_p$ could never learn. With the Gaussian
every weight inside the window depends smoothly on $p_t$. Move the place in the widget, and watch both: the bars change smoothly,
and they jump when a word enters or leaves.
""")

code("""
window_explorer(source, target, scores, at=1, kind="local-p", centre=1.4, window=2)
""")

md(r"""
Read the title of the picture, too. The softmax makes the weights sum to 1, then the Gaussian takes its part away, and nothing is
given back.
""")

code("""
predict(
    "All scores are equal, D = 5, and the window lies well inside a long sentence, with p on a word. What do the "
    "weights of local-p sum to?",
    answer=0.59, tolerance=0.06,
    because="The softmax gives each of the 11 words 1/11, and the mean of the Gaussian over the window is 0.59. So the "
            "context of local-p is shorter than a global one; the layer after it can learn to live with that.",
)
""", fold=True)

exercise("09.1", "def my_local_p(scores, centre, window, mask):\n    return ...\n\n\nex09.check_09_1(my_local_p)", """
def solution_09_1(scores, centre, window, mask):
    away = torch.arange(scores.shape[1]) - centre.unsqueeze(-1)
    inside = mask & (away.abs() <= window)
    return masked_softmax(scores, inside) * torch.exp(-2 * (away / window) ** 2)


assert ex09.check_09_1(solution_09_1)""")

md(r"""
Here is the package's version. Two lines are new compared with local-m: the place comes from the query, and the Gaussian
multiplies the weights. Below it we take the same two steps with a place p that has a gradient, and ask which of them depends on p.
""")

code("show_source(LocalPredictiveAttention.centre, LocalPredictiveAttention.forward, docstrings=False, doors=False)")

code("""
p = torch.tensor(1.4, dtype=torch.float64, requires_grad=True)
away = places - p  # (S,)
in_window = masked_softmax(scores[1], away.abs() <= 2)  # the softmax inside the window
weights = in_window * torch.exp(-2 * (away / 2) ** 2)  # times the Gaussian
print("does the softmax depend on p?", in_window.requires_grad, "   and the product?", weights.requires_grad)
slope = torch.autograd.grad(weights[2], p)[0]
print(f"weight of cat {float(weights[2].detach()):.2f}; it grows by {float(slope):.2f} per place that p moves")
""")

md(r"""
So the Gaussian is the only road by which the gradient reaches $v$ and $W_p$, and here it points the right way: *chat* translates *cat*,
and moving the window towards *cat* raises its weight. But how far does this road reach? We let p run along the whole sentence.
""")

code("""
grid = torch.linspace(0.005, 4.995, 500, dtype=torch.float64)


def weight_of_cat(p, D):
    away = (places - p).abs()
    return float(masked_softmax(scores[1], away <= D)[2] * torch.exp(-2 * (away[2] / D) ** 2))


curves = {f"D = {D}": (grid, [weight_of_cat(p, D) for p in grid]) for D in (1, 2)}
plots.show(where.place_curves("cat", 2, curves), alt="The weight of cat against the middle p of the window: a hill "
           "around place 2 that ends at 1 and 3 for D = 1, and at 0 and 4 for D = 2; outside it is exactly 0 and flat.")
outside = [weight_of_cat(p, 1) for p in grid if abs(p - 2) > 1.001]
claim("Outside the window the weight is exactly 0, and so is its slope", {"largest weight": max(outside)},
      "largest weight < 1e-12")
""", fold=True)

md(r"""
Outside the window the curve is flat. If the right word is not in the window, no gradient says in which direction it lies: the
place can only learn from words that are already inside. A narrow window is therefore also a narrow view for learning.

**We now know** that a predicted place learns through its Gaussian alone, and only from what it already sees.
""")

# --------------------------------------------------------------------------------------------------------------- 3
md(r"""
## 3 · Do windows help a translator? · 7 min

First we need a translator. It is Luong's decoder with global attention, trained on 2,000 of our sentence pairs, as in
notebook 08. Here is a validation sentence that it translates right, with its map.
""")

code("""
english, french = words = recipes.vocabularies()
_ = seeds.seed_everything(3)
model = recipes.build_model("global", len(english), len(french))
batches = Batches(mini.load_split("train_low"), english, french, batch_size=recipes.BATCH, seed=3)
_ = training.train(model, batches, steps=recipes.STEPS, lr=recipes.RATES["global"], seed=3)
""", loose=True)

code("""
valid = mini.load_split("valid", 300)  # sentences of 3 to 16 words, as in training
some = [pair for pair in valid if len(pair.source) in (8, 9)]
said = translate(model, [pair.source for pair in some], english, french)
links = forced_alignment(model, some, english, french)  # the largest weight of every target word
right, _ = min(((pair, found) for pair, text, found in zip(some, said, links) if tuple(text) == pair.target),
               key=lambda both: alignment_error_rate([both[1]], [both[0]]))  # the clearest of those that are right
print(detokenise(right.source), "→", detokenise(right.target))
(weights,) = forced_attention(model, [right], english, french)
plots.show(plots.alignment_map(right.source, right.target, weights, right.sure, right.possible, title="global"),
           alt="Attention map of a sentence that our model translates right: the largest weights lie on the gold "
               "links, which are framed and run close to the diagonal.")
perplexity = {"our model": looks.surprise(model, valid, words)}
""", loose=True, fold=True)

code("""
def reading(score, model):  # on the 300 validation sentences, with the learning rate that was best on them
    return scoreboard.values(score, notebook="09", model=model, task=f"rate={recipes.RATES[model]:g}", split="valid")


(stored,) = reading("perplexity", model="global")
claim("Our model is the stored one", {"ratio": perplexity["our model"] / stored}, "0.9 < ratio < 1.1")
""", loose=True, fold=True)

md(r"""
The frames are the gold links, and they keep close to the diagonal. How close? Our corpus knows the right link of every word, so we can
count how many of them a window around place t would hold. Real text is less kind. The French texts of JupyterLab have no
gold links, but some words are spelt alike in both languages, and each of those is a link by itself.
""")

code("""
for name, file in mini.TEST_BUCKETS.items():
    away = looks.distances(mini.load_split(file))  # place of the target word minus place of its source word
    print(f"our corpus, {name:5} words:", "  ".join(f"D = {D}: {looks.within(away, D):.2f}" for D in (1, 2, 4)))
alike = looks.twins(parallel.jupyterlab_french())
away = [i - j for _, j, i in alike]
print(f"JupyterLab, {len(away):,} words:  ", "  ".join(f"D = {D}: {looks.within(away, D):.2f}" for D in (1, 2, 4)))
pair, j, i = next(found for found in alike if found[2] - found[1] == 5)
print(f"{detokenise(pair.source)} → {detokenise(pair.target)}: {pair.source[j]} at place {j}, {pair.target[i]} at {i}")
claim("Half-width 2 holds nearly all links of our corpus, and far fewer of the real ones",
      {"ours": looks.within(looks.distances(valid), 2), "real": looks.within(away, 2)}, "ours > real")
""")

code("""
predict(
    "Four translators are trained like ours, but with windows: local-m and local-p, each with D = 2 and with D = 4. "
    "One of them fails to learn. Which?",
    ["local-m with D = 2", "local-m with D = 4", "local-p with D = 2", "local-p with D = 4"],
    answer="local-p with D = 2",
    because="It has to learn a place, and it can do so only from the words that already are in its window, five at "
            "most. Local-m need not learn a place, and D = 4 shows more of the sentence.",
)
""", fold=True)

code("""
titles = {name: name.replace("2", " 2").replace("4", " 4") for name in ("global", *recipes.WINDOWS)}  # D at the end
near, wrong = ({title: reading(score, model=name) for name, title in titles.items()} for score in ("perplexity", "aer"))
plots.show(plots.bars_with_seeds(near, limit=None, score="perplexity (lower is better)"),
           alt="Perplexity of global attention and four windows: local-m with D = 2 is lowest, local-p with D = 2 by "
               "far the highest.")
for name, title in titles.items():
    print(f"{title:10}", *(f"{label} {fmean(reading(key, model=name)):.2f}" for key, label in
          (("aer", "AER"), ("bleu", "BLEU"), ("weight", "sum of the weights"))), sep="   ")
claim("Local-m with D = 2 does at least as well as global attention", near, "local-m 2 < global")
claim("Local-p with D = 2 does far worse", near, "local-p 2 > global")
claim("and most of its looks are wrong", wrong, "local-p 2 > 0.5")
claim("With D = 4 it learns where to look", wrong, "local-p 4 < 0.3")
""", fold=True)

md(r"""
The narrow local-m does at least as well as global attention, and what it assumes about places is true of this corpus. The narrow
local-p fails: about nine in ten of its looks are wrong. With D = 4 it learns. That fits the flat part of the curve in section 2, but it is not a
proof. (Each bar is a single run of 500 updates. Local-m with D = 4 assumes the same as with D = 2, and yet half of its looks are wrong in this run;
that may be chance.)

Is it the window itself that helps, or what is learnt with it? We lend the trained global model a window, only for the test.
""")

code("""
for D in (1, 2, 4):
    with plugged(model, LocalMonotonicAttention(model.attention.score, D)):
        perplexity[f"window {D}"] = looks.surprise(model, valid, words)
print({name: round(value, 2) for name, value in perplexity.items()})
lent = {"with / without": perplexity["window 2"] / perplexity["our model"]}
claim("A lent window of D = 2 changes almost nothing", lent, "0.9 < with / without < 1.1")
claim("A window of D = 1 is too narrow", perplexity, "window 1 > our model")
""", loose=True)

md(r"""
With D = 2 nothing changes: the trained global model hardly looks further than that anyway. So what the narrow local-m is ahead, it has gained
in training, and not by what its window hides in the test.

**We now know** that a window is an assumption about order. Where it holds, it saves learning; where the place must be learnt, a narrow window makes
that hard. In the real texts of JupyterLab, D = 2 would hide one link in four.
""")

# --------------------------------------------------------------------------------------------------------------- 4
md(r"""
## 4 · One word instead of a mixture · 6 min

A translator looks at *cat* to write *chat*; why should anything of *sees* be mixed in? **Hard attention** takes one word and
leaves the others. Here are the ways from weights to a context that this class is about: the first is soft, the other two choose.
""")

code("""
plots.show(
    architectures.choices(source[1:5], torch.softmax(scores[1, 1:5], -1).tolist(), drawn=0),
    alt="Three drawings. Soft: all four weights feed the context C. Straight-through: only the largest weight becomes "
        "a 1 and feeds C, and the gradient comes back as if the choice were soft. Draw: one word is drawn by the "
        "weights, and the reward log p(y) comes back times the gradient of the logarithm of its weight.",
)
""", fold=True)

code("""
h = torch.randn(6, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)  # (S, 3): six states
soft = torch.softmax(scores[1], -1)  # (S,)
hard = F.one_hot(soft.argmax(), 6).double()
print("soft context", (soft @ h).numpy().round(2), "   hard context", (hard @ h).numpy().round(2))
""")

code("""
predict(
    "A translator was trained with soft attention. Only for the test, each row of weights is replaced by its largest "
    "one. What happens to the perplexity?",
    ["it at least doubles", "it rises by less than a tenth", "it falls"], answer="it rises by less than a tenth",
    because="Trained weights are sharp: for most words the largest one is close to 1, so the mixture hardly differs "
            "from its largest part.",
)
""", fold=True)

code("""
claim("Read with its largest weights alone, a model trained softly loses",
      {"soft": reading("soft", model="global"), "largest": reading("largest", model="global")}, "soft < largest")
loss = [b / a for a, b in zip(reading("soft", model="global"), reading("largest", model="global"))]
claim("but not much: a few hundredths of its perplexity", {"largest / soft": loss}, "largest / soft < 1.1")
""")

md(r"""
At test time, then, a choice is cheap. To *train* with it is another matter. The argmax does not change when a score moves a little,
so its derivative is zero; and where it does change, it jumps. No gradient reaches the scores.
""")

code("""
leaf = scores[1].clone().requires_grad_()
for how in ("argmax", "straight_through"):
    plug = HardAttention(DotScore(), how)
    context, _, _ = plug(leaf.view(1, 1, 6), torch.eye(6).double()[None], h[None])  # these keys give back the scores
    grads = torch.autograd.grad(context.sum(), leaf)[0] if context.requires_grad else None
    print(f"{how:17}", "no gradient" if grads is None else grads.numpy().round(3))
""")

md(r"""
The second line is a trick that cheats openly. The **straight-through** estimator (Bengio, Léonard and Courville, 2013) computes
`hard + (soft - soft.detach())`. As a number this is the hard choice, because the bracket is 0; its gradient is that of the soft weights. On the
way back it pretends that nothing was chosen. So it is not the gradient of any function, but it often points in a useful direction.

**We now know** that a choice is cheap at test time, that it has no gradient of its own, and that straight-through borrows one.
""")

# --------------------------------------------------------------------------------------------------------------- 5
md(r"""
## 5 · Three objectives · 9 min

A more honest way is to let the decoder **draw** its source word from the weights, speak, and learn from the outcome. But what is it to
learn? Three goals are often spoken of as if they were one. For one target word let $a_j$ be the weights, $h_j$ the states, and $p_j$ the
probability of the right word if $h_j$ alone is the context:

| | objective | what is trained with it |
|---|---|---|
| soft | $\log p\big(\sum_j a_j h_j\big)$ | soft attention |
| expected | $\sum_j a_j \log p_j$ | hard attention by REINFORCE (section 6) |
| mixture | $\log \sum_j a_j p_j$ | the likelihood of "draw a word, then speak" |

The logarithm is concave, so the mean of logarithms is never above the logarithm of the mean (Jensen's inequality): *expected* is a lower bound
of *mixture*. Xu and others derive it as such and call it $L_s$. The soft objective lies on no side of the others, because it asks what the network
says to a *mixed* state, one which no single word has. Here is one target word with two source words, of which the second is useless.
""")

code("""
a, p = torch.tensor([0.7, 0.3]).double(), torch.tensor([0.9, 0.001]).double()
print(f"expected {float(a @ p.log()):.2f}   mixture {float((a @ p).log()):.2f}")
""")

code("""
predict(
    "The weight of the useless word falls from 0.3 to 0.1. Which of the two numbers gains more?",
    ["expected", "mixture", "both the same"], answer="expected",
    because="Expected pays 0.3 · log 0.001 = -2.07 for the useless word, and then only -0.69. The mixture rises from "
            "log 0.63 to log 0.81, which is 0.25. Expected punishes every draw that cannot say the word, and so it "
            "makes weights sharp.",
)
""", fold=True)

exercise("09.2", "def my_objectives(weights, log_probs):\n    return ...\n\n\nex09.check_09_2(my_objectives)", """
def solution_09_2(weights, log_probs):
    mean = (weights * log_probs.masked_fill(weights == 0, 0)).sum(-1)
    return mean, (weights.log() + log_probs).logsumexp(-1)


assert ex09.check_09_2(solution_09_2)""")

md(r"""
In our decoder no context reaches the next state. So every target word can be scored with each source word alone, and all three
objectives can be computed exactly. Here they are for the model that was trained softly, as perplexities (lower is better):
""")

code("""
ways = ("soft", "largest", "expected", "mixture")
for way in ways:
    print(f"{way:9}", " ".join(f"{value:.2f}" for value in reading(way, model="global")))
measured = {way: reading(way, model="global") for way in ways}
claim("The mean of logarithms is below the logarithm of the mean, so its perplexity is higher", measured,
      "expected > mixture")
claim("Soft lies between them here", measured, "mixture < soft < expected")
""")

md(r"""
**We now know** that "hard attention" is not one thing. One has to say which objective is trained, and how the weights are read afterwards.
""")

# --------------------------------------------------------------------------------------------------------------- 6
md(r"""
## 6 · REINFORCE · 14 min

The second objective can be trained with one draw per word. Call $r_s = \log p_s$ the **reward**: the log-probability of the right target
word when the drawn word s alone is its context. We want the mean reward over draws to grow. Its gradient is

$$L = \sum_s a_s r_s, \qquad
\nabla L = \sum_s \big(a_s \nabla r_s + r_s \nabla a_s\big)
         = \sum_s a_s \big(\nabla r_s + r_s\, \nabla \log a_s\big)$$

The last step uses $\nabla a = a \nabla \log a$, and it is the whole idea: written in this way, the gradient is itself a *mean over draws*.
So we may draw one word s, compute the bracket for it, and be right on average. Its first part trains the network that speaks. Its second part
trains where to look: it raises the log-weight of what was drawn, the more the larger the reward.

There is one difficulty. Rewards are logarithms of probabilities, so all of them are negative, and every draw lowers its own weight, a good one
only less than a bad one. On average this is right, but a single draw may point almost anywhere. The remedy is to count the reward from a
**baseline** b. Because $\sum_s a_s \nabla \log a_s = \nabla \sum_s a_s = 0$, subtracting any b that does not depend on the draw changes nothing on
average. It may change the noise. We try it with four words and 20,000 draws.
""")

code("""
_ = seeds.seed_everything(0)
e, r = torch.tensor([0.3, -0.5, 1.0, 0.0]).double().requires_grad_(), torch.tensor([-3.0, -1.0, -2.5, -0.2]).double()
exact = torch.autograd.grad((e.softmax(0) * r).sum(), e)[0]
a = e.detach().softmax(0)
draws = one_of(a.expand(20_000, 4), draw=True)  # (20000, 4) one-hot rows
print("exact                   ", exact.numpy().round(2))
off, noise = {}, {}
for name, b in (("none", 0.0), ("mean reward", float(a @ r)), ("far too low", -6.0)):
    single = (draws @ r - b)[:, None] * (draws - a)  # (20000, 4): the estimate of each draw
    off[name], noise[name] = float((single.mean(0) - exact).abs().max()), float(single.var(0).sum())
    print(f"baseline {name:15}", single.mean(0).numpy().round(2), f"  variance of one draw {noise[name]:.2f}")
""", loose=True)

code("""
claim("With every baseline the mean is close to the exact gradient", {"largest difference": max(off.values())},
      "largest difference < 0.08")
claim("The mean reward as baseline makes one draw less noisy", noise, "mean reward < none")
claim("A bad baseline makes it noisier than none", noise, "far too low > none")
""", loose=True)

exercise("09.3", "def my_reinforce(scores, drawn, reward, baseline):\n    return ...\n\n\nex09.check_09_3(my_reinforce)", """
def solution_09_3(scores, drawn, reward, baseline):
    chosen = F.one_hot(drawn, scores.shape[1])
    return (reward - baseline).unsqueeze(1) * (chosen - scores.softmax(1))


assert ex09.check_09_3(solution_09_3)""")

md(r"""
In training, autograd does this work. All it needs is one number whose gradient is the estimate, a **surrogate**; as a number the
surrogate means nothing. The baseline is a running mean of the rewards, as in Xu and others: $b \leftarrow 0.9\,b + 0.1\,r$. Below,
`recorded` only keeps what the attention has drawn.
""")

code("show_source(surrogate, objectives.reinforce, docstrings=False)")

md(r"""
**We now know** how to train a choice without cheating: the reward times the gradient of the log-weight. Its price is noise, which a good
baseline lowers and does not remove.
""")

# --------------------------------------------------------------------------------------------------------------- 7
md(r"""
## 7 · What each training is good at · 3 min

The same translator was trained in five ways, with the same number of updates. Each model is read in four ways: with the mixture of states, with
the largest weight alone, and by the two means over draws. The last training needs an explanation: it has the objective of REINFORCE, *expected*, but computes it
exactly, by adding up all source words instead of drawing one.
""")

code("""
predict(
    "Which training falls far behind the others within 500 updates?",
    ["straight-through, because its gradient is wrong", "REINFORCE, because its gradient is noisy",
     "neither: hard attention is about as good as soft"],
    answer="REINFORCE, because its gradient is noisy",
    because="It is right on average, but it learns from one draw per word. Straight-through has the gradient of no "
            "function, but it hears from every source word at once.",
)
""", fold=True)

code("""
trainings = {"soft": "global", "straight-through": "straight-through", "REINFORCE": "sampled",
             "without baseline": "sampled-no-baseline", "expected, exactly": "expected"}
table = {name: {way: reading(way, model=row) for way in (*ways, "aer")} for name, row in trainings.items()}
print("trained as         read as:", *(f"{way:>9}" for way in ways), "      AER")
for name, row in table.items():
    print(f"{name:26}", *(f"{fmean(values):9.2f}" for values in row.values()))
largest, wrong = ({name: row[way] for name, row in table.items()} for way in ("largest", "aer"))
claim("Straight-through is a little behind soft attention, even read hard", largest, "soft < straight-through < 2.5")
claim("REINFORCE is far behind", largest, "REINFORCE > 5")
claim("and most of its looks are still wrong", wrong, "REINFORCE > 0.5")
claim("The same objective without drawing has no such trouble", wrong, "expected, exactly < 0.2")
claim("Read hard, it is the best of all", largest, "expected, exactly < soft")
seconds = {name: scoreboard.rows("09", trainings[name], f"rate={recipes.RATES[trainings[name]]:g}")[0]["cpu_seconds"]
           for name in ("soft", "expected, exactly")}
claim("but it takes very long", {"times as long": seconds["expected, exactly"] / seconds["soft"]}, "times as long > 5")
""")

md(r"""
Straight-through nearly keeps up with soft attention. REINFORCE has not found out where to look after 500 updates, with a baseline or
without: about three in four of its looks are wrong. The last row shows why. It has the same objective and the same number of updates, only no draws,
and it learns where to look; read hard, it is even a little ahead of the softly trained model. So it is the noise of the draws that costs so much, and not
the objective. (These are single runs; whether the baseline helps cannot be told from one of each.)

**We now know** how a choice is trained in practice: softly or straight through, and read hard afterwards; REINFORCE where nothing else is possible,
because the network cannot be asked what it would have said after another choice.
""")

# ------------------------------------------------------------------------------------------------------------- home
md(r"""
# At home

Nothing later in the course depends on these sections.
""")

md(r"""
## What we measured

| claim | section |
|---|---|
| local-m is a mask; local-p's place has a gradient through its Gaussian alone, and none outside its window | 1, 2 |
| a window that holds the links does no harm; a narrow window with a learnt place fails | 3 |
| a model trained softly hardly loses by being read hard | 4 |
| soft, expected and mixture are three numbers, and expected is never above mixture | 5 |
| REINFORCE is right on average with any baseline; a good one makes it less noisy, a bad one noisier | 6 |
| straight-through nearly keeps up with soft attention; REINFORCE is far behind within 500 updates | 7 |
| monotonic attention: noise in training brings soft and hard reading together | below |
| monotonic attention is online only behind an encoder that reads one way | below |
| with equal letters, content alone fails just beyond the trained length; the hybrid goes on | below |
""")

code("""
one, other = torch.tensor([0.7, 0.3]).double(), torch.tensor([0.9, 0.001]).double()
claim("Expected is below mixture in the example of section 5",
      {"expected": float(one @ other.log()), "mixture": float((one @ other).log())}, "expected < mixture")
""", fold=True)

md(r"""
## Reading on from where we stopped

In speech recognition, and when an interpreter speaks while somebody else is still talking, the end of the source is not there
yet. **Monotonic attention** (Raffel and others, 2017) never goes back. For each target word it starts at the source word where it
stopped before, and decides at each word anew: *stop here, or go on?* With probability $p_{ij} = \sigma(e_{ij})$ it stops. In the player below,
draw 0 decodes: it stops wherever p is above 1/2. The other draws throw a coin at every word. Step through a few of them.
""")

code("""
stops = torch.tensor([[.9, .1, .2, .1, .1], [.2, .3, .9, .2, .4], [.1, .8, .2, .3, .6], [.1, .1, .4, .4, .9]])
walk_player("the black cat sees her".split(), "le chat noir la".split(), stops, at=4)
""")

md(r"""
The third row shows the price: *noir* translates *black*, which lies behind, and the walk cannot return. Stopping is a choice and has no
gradient, but the walk has an *average*, and that can be computed. Let $q_{ij}$ be the chance that it arrives at word j. It arrives there by
beginning there, or by arriving at word j - 1 and not stopping:

$$q_{ij} = (1 - p_{i,j-1})\,q_{i,j-1} + a_{i-1,j}, \qquad a_{ij} = p_{ij}\,q_{ij}$$

Training uses this **expected alignment** as its weights; decoding uses the walk itself. A row may sum to less than 1, because the walk
may pass every word. It must not be made to sum to 1: what is missing is the chance of finding nothing.
""")

exercise("09.4", "def my_walk(p, previous):\n    return ...\n\n\nex09.check_09_4(my_walk)", """
def solution_09_4(p, previous):
    rows, here = [], torch.zeros_like(p[:, 0])
    for j in range(p.shape[1]):
        here = here + previous[:, j]
        rows.append(p[:, j] * here)
        here = here * (1 - p[:, j])
    return torch.stack(rows, 1)


assert ex09.check_09_4(solution_09_4)""")

md(r"""
A loop over words is slow. The paper gives the same sum in a single line of cumulative products, and this is how it is usually
programmed. But that line divides by the product of all $1 - p$ before a word, and such a product soon vanishes. The package adds logarithms
instead, and takes only differences that are at most 0. Sixty words, p = 0.9 everywhere, and a walk that begins at word 30:
""")

code("""
p, start = torch.full((60,), 0.9, dtype=torch.float64), F.one_hot(torch.tensor(30), 60).double()
passed = torch.cat([torch.ones(1).double(), (1 - p).cumprod(0)[:-1]])  # the chance to pass all words before
divided = p * passed * (start / passed.clamp(min=1e-10)).cumsum(0)
sums = {"by division": float(divided.sum()), "by logarithms": float(walk(p, start).sum())}
claim("A walk that begins in the middle nearly always stops somewhere", sums, "by logarithms > 0.999")
claim("but the division loses it", sums, "by division < 0.001")
""")

exercise("09.5", "def my_stops(p):\n    return ...\n\n\nex09.check_09_5(my_stops)", """
def solution_09_5(p):
    place, found = 0, []
    for row in p:
        while place < len(row) and row[place] <= 0.5:
            place += 1
        found.append(place if place < len(row) else -1)
    return found


assert ex09.check_09_5(solution_09_5)""")

md(r"""
Since training is soft and decoding is hard, the two must be brought to agree: p should be close to 0 or to 1. Raffel's remedy is
**noise**, added to the energy e before the sigmoid, in training only. Only a large energy is safe against noise, so the model learns to
make energies large. We read each model twice: softly, by its expected alignment, and hard, as it decodes.
""")

code("""
gap = {}
for name in recipes.NOISES:
    softly, hard = (reading(key, model=name) for key in ("walk", "perplexity"))
    gap[name.replace("monotonic-", "noise ")] = [b / a for a, b in zip(softly, hard)]
    print(f"{name}: read softly {fmean(softly):.2f}, read hard {fmean(hard):.2f}")
claim("The more noise, the smaller the gap between the two readings (hard / soft)", gap, "noise 2 < noise 1 < noise 0")
both = {"global": reading("perplexity", model="global"), "softly": reading("walk", model="monotonic-1"),
        "as it decodes": reading("perplexity", model="monotonic-1")}
claim("With noise 1, read softly, it is better than global attention", both, "softly < global")
claim("but as it decodes it is worse", both, "as it decodes > global")
""")

md(r"""
Without noise the model is several times as perplexed when it decodes as it was in training; with noise the two come together. Too much noise costs
something again: with noise 2 both readings are a little worse than with noise 1. Read softly, monotonic attention is even better than global attention. A possible reason is the one
of local-m: its assumption about order is nearly true here.

## Is it online?

Hard monotonic attention looks at nothing to the right of its stop. Does that make the translator **online**, able to speak before the
sentence has ended? We try it. The model hears the first word, then the first two, and so on; each time it writes until its attention
would have to look further. Online means that nothing it has said is ever taken back. We train two small models on short sentences. They differ only
in the encoder, which reads in both directions or in one. (Small as they are, they make many mistakes. Watch only what changes from line to line.)
""")

code("""
short = [pair for pair in mini.load_split("train") if len(pair.source) <= 6]
nets = {"both ways": AttentiveSeq2Seq, "one way": online.OneWaySeq2Seq}
for name, kind in nets.items():
    _ = seeds.seed_everything(0)
    attention = MonotonicAttention(96, 96, 96, noise=0.5, bias=-0.5)
    nets[name] = kind(len(english), len(french), d_embedding=96, d_hidden=96, attention=attention)
    _ = training.train(nets[name], Batches(short, english, french, batch_size=32, seed=0), steps=450, lr=1.5e-2)
""", loose=True)

code("""
heard, few = "the old man sees a small cat .".split(), mini.load_split(mini.TEST_BUCKETS["3-7"], 30)
for name, net in nets.items():
    print(name)
    for n, said in enumerate(online.said_so_far(net, heard, english, french), 1):
        print(f"   {' '.join(heard[:n]):32} {' '.join(said)}")
back = {name: sum(looks.takes_back(online.said_so_far(net, pair.source, english, french)) for pair in few)
        for name, net in nets.items()}
claim("Behind an encoder that reads both ways, something is taken back in most of 30 sentences", back, "both ways > 15")
claim("Behind an encoder that reads one way none does", back, "one way < 1")
""", loose=True)

md(r"""
So attention is not enough. A bidirectional encoder must have seen the whole sentence before its first state is ready, and the
decoder starts from the encoder's *final* state. Only with an encoder that reads from left to right, and a decoder that starts from zeros, is nothing to the
right of the stop ever seen. This has a price, too: a state no longer knows what follows its word.
""")

code("""
price = {name: reading("perplexity", model=name) for name in ("global", "one-way", "one-way-monotonic")}
claim("An encoder that reads one way costs much", price, "one-way > global")
claim("and monotonic attention, hard, costs something on top", price, "one-way-monotonic > one-way")
""")

md(r"""
## Content and place together

Among equal words, content cannot say which of them comes next. Chorowski and others (2015) recognised speech, where the same sound
returns again and again, and let the score see the weights of the step before:

$$e_{ij} = w \cdot \tanh(W s_{i-1} + V h_j + U f_{ij} + b), \qquad f_i = F * a_{i-1}$$

F is a small filter that slides along the previous weights (a convolution, notebook 12). With it the model can learn "one to the right
of where I was". The cleanest test we know is copying: strings of three letters, of 1 to 12 letters in training and of up to 36 in the test. We compare
the content alone, the hybrid, and the place alone, with five seeds each.
""")

code("show_source(LocationAwareAttention.forward, LocationAwareAttention.windows, docstrings=False, doors=False)")

code("""
copies = {kind: scoreboard.by_split("exact_match", [f"length-{n:02d}" for n in copying.TESTED], notebook="09",
                                    task="strings", model=kind) for kind in copying.KINDS}
plots.show(plots.length_curve(copies, [str(n) for n in copying.TESTED], trained=2, score="strings copied right",
                            xlabel="letters in the string"),
           alt="Share of strings copied right by length, up to 12 in training: with content alone it falls to nearly "
               "0 at 16; the hybrid still copies strings of 16 letters.")
""", fold=True)

code("""
off = {kind: scoreboard.by_split("places_off", ["length-12", "length-16"], notebook="09", task="strings", model=kind)
       for kind in copying.KINDS}
print("places off on average, with 12 and with 16 letters:")
for kind, runs in off.items():
    print(f"   {kind:8} {fmean(a for a, _ in runs):.2f}  {fmean(b for _, b in runs):.2f}")
at = {f"{kind}, {n} letters": [run[k] for run in runs] for kind, runs in copies.items()
      for k, n in enumerate(copying.TESTED)}
claim("Within the trained lengths content is enough", at, "content, 12 letters > 0.9")
claim("A third beyond them, most of its strings are wrong", at, "content, 16 letters < 0.5", of=200)
claim("The hybrid copies them all, with every seed", at, "hybrid, 16 letters > 0.99")
claim("At twice the trained length it still copies more than content does", at,
      "hybrid, 24 letters > content, 24 letters", of=200)
claim("At three times the trained length its seeds part", at, "hybrid, 36 letters ~ content, 36 letters", of=200)
""", fold=True)

md(r"""
Within the trained lengths all three copy everything. With 16 letters, a third more than in training, content alone copies only about one string in
ten. Its looks are half a place off on average, as they were before, but among equal letters nothing tells it that it has slipped (a possible reason; we have
not tested it). The hybrid copies every string of 16 letters with all five seeds, and most of those of 24. At three times the trained length its
seeds part: three copy nearly everything, two nothing. Note the third curve, too. The place alone does about as well, because copying asks only for the next place and not
for what stands there. A translator needs both.
""")

exercise("09.6", '''def my_hybrid(content, kernel, strength):
    B, T, S = content.shape
    rows, r = torch.zeros_like(content), len(kernel) // 2
    previous = torch.zeros_like(content[0, 0])
    previous[0] = 1.0
    for b in range(B):
        for t in range(T):
            f = F.pad(previous, (r, r)).unfold(0, 2 * r + 1, 1) @ kernel
            previous = (content[b, t] + strength * f).softmax(0)
            rows[b, t] = previous
    return rows


ex09.check_09_6(my_hybrid)''', """
def solution_09_6(content, kernel, strength):
    rows, r = torch.zeros_like(content), len(kernel) // 2
    for b in range(len(content)):
        previous = F.one_hot(torch.tensor(0), content.shape[2]).to(content.dtype)
        for t in range(content.shape[1]):
            f = F.pad(previous, (r, r)).unfold(0, 2 * r + 1, 1) @ kernel
            previous = (content[b, t] + strength * f).softmax(0)
            rows[b, t] = previous
    return rows


assert ex09.check_09_6(solution_09_6)""")

md(r"""
## Where it all comes from

We see sharply only in the middle of the retina, about two degrees wide, and so we move our eyes three or four times per second. Looking, in
people, is hard attention. Itti, Koch and Niebur (1998) imitated it without learning: they computed for every place of a picture how much it stands
out, its *saliency*, and visited the maxima one after the other. Larochelle and Hinton (2010) were among the first to let a network learn where its next
**glimpse** should go.

Mnih and others at DeepMind (2014) made this a recurrent network. At each step it gets a small patch of the picture, sharp in the middle and coarse
around it, updates its state, and draws the place of the next patch from a Gaussian whose mean the state predicts. There is only one reward, at the end:
was the digit recognised? REINFORCE distributes it over all the choices that led there. The cost no longer depends on the size of the picture, which is what
hard attention is for.

Xu and others (2015) carried both kinds over to captions: for each word of the caption the decoder looks at 14 × 14 regions of a photograph, softly or by one
draw. Hard attention was a little ahead in BLEU-4 (on COCO 25.0 against 24.3), soft attention in another score (METEOR, 23.90 against 23.04). Soft
attention is easier to train, and it prevailed. In translation a sentence has 30 words and not 100,000 pixels, so there was little to save.

## What the papers found

- Luong, Pham and Manning (2015), English to German, perplexity / BLEU: global with the general score 6.1 / 17.3, local-m general 6.2 / 18.6,
  **local-p general 5.9 / 19.0**, their best single variant. In alignment, local-m (AER 0.34) was better than local-p (0.36).
- Chorowski and others (2015), phone error rate on TIMIT: content only 18.7 %, location-aware 18.0 %, with smoothed weights 17.6 %. On
  utterances that were repeated ten times the content model failed; the location-aware model stayed at about 20 %.

## What came after

- **Straight-through** is everywhere today. In a VQ-VAE (van den Oord and others, 2017) a vector is replaced by the nearest entry of a codebook, and the
  gradient is passed through as if nothing had happened: the cell below does it in one line.
- **Gumbel-softmax** (Jang and others; Maddison and others, 2017): a draw that can be differentiated, at the price of a temperature. **Sparsemax** (2016) and **entmax**
  (2019) give soft weights most of which are exactly 0.
- **Exact marginals** (Wu, Shapiro and Cotterell, 2018; Deng and others, 2018): the *mixture* of section 5, and variational bounds where it cannot be computed.
- **Wait-k** (Ma and others, 2019) stays k words behind the speaker, much like a local-m for simultaneous translation. **Monotonic chunkwise attention** (Chiu and Raffel, 2018)
  stops hard, and then looks softly at the few words before the stop.
- **Sliding windows** with a cache are part of many language models of today (notebook 20). Which *expert* answers for a word, in a mixture of experts, is a hard choice,
  trained with tricks of this family.
""")

code("""
x, codebook = torch.tensor([0.9, 0.2], requires_grad=True), torch.eye(2)
nearest = codebook[(x - codebook).square().sum(1).argmin()]  # a choice
y = x + (nearest - x).detach()  # straight through: the number of the choice, the gradient of x
(y * torch.tensor([2.0, 3.0])).sum().backward()
print("forwards", y.tolist(), "   backwards", x.grad.tolist())
""")

md(r"""
## Often said, and wrong

- *"Local attention cannot improve quality, it only saves time."* Luong's best single model was local-p.
- *"Bahdanau's attention is local, Luong's is global."* Bahdanau's decoder looks at every source word.
- *"Hard visual attention comes from Google Mind."* Mnih and others (2014) were at DeepMind.
- *"The hybrid suits outputs that are longer than their inputs."* It comes from speech recognition, where the input is far longer. What it is for
  is repetition.
- *"Monotonic attention is online."* It is, behind an encoder that is.
- *"Rows of monotonic attention that do not sum to 1 are a bug."* What is missing is the chance of finding nothing.
- *"The baseline must be a good estimate, or the gradient is wrong."* The gradient is right on average with any baseline; a bad one makes it noisier.

## Questions to think about

1. German puts many verbs at the end of the sentence. What does that mean for local-m, and what would local-p have to learn?
2. All rewards of REINFORCE are multiplied by 100. What changes, and which setting of the training would you change with it?
3. Why may the baseline depend on the target word, but not on the draw?

<details><summary>Answers</summary>

1. The verb's partner lies far from place t, outside any small window: local-m cannot see it. Local-p would have to send its window to the end for one word and
   back for the next, and it would have to find that place without seeing it first; a wide window makes this easier to learn.
2. The gradient for the scores is 100 times larger, so the scores learn faster than everything else, and more noisily. With plain gradient descent one would
   divide their rate by 100; Adam divides by the size of the gradient itself, so there mostly the balance between the two parts of the gradient, speaking and looking, is changed.
3. The proof needs $\sum_s a_s\, b\, \nabla \log a_s = b \nabla \sum_s a_s = 0$. A b that is the same for all draws of one target word can be taken out of the sum; one that depends on s cannot.
</details>

## Where we differ from the paper

- Our encoder is bidirectional and has one layer; Luong's is stacked and reads one way. We train without input feeding (notebook 08), so that hard attention can be computed exactly.
- The place of local-p lies between the first and the last word, as in the authors' code; in the paper it is $S \cdot \sigma(\ldots)$. The window of local-m stays at the
  last word when t runs beyond the source. Luong's D was 10, which would hold nearly all of our sentences.
- REINFORCE here charges a draw with the reward of its own word only, since no context reaches later words. It has no entropy term, and it does not use the soft context half of the
  time, as Xu and others did.
- Monotonic attention is queried by the current state, as in the authors' code; the paper writes the previous one.
- Learning rates were chosen for each translator, among three (for *expected* two), on the same validation sentences for which its results are given here, and each of them is a single run. (The copying of
  strings has five seeds.)

## Glossary

| English | 中文 | meaning here |
|---|---|---|
| global / local attention | 全局/局部注意力 | all source words / those in a window |
| window, half-width D | 窗口、半宽 | the words from p − D to p + D |
| soft / hard attention | 软/硬注意力 | a mixture of all states / one of them |
| straight-through estimator | 直通估计器 | forwards the choice, backwards as if it were soft |
| REINFORCE, policy gradient | REINFORCE、策略梯度 | reward times the gradient of the log-probability of the draw |
| reward, baseline | 奖励、基线 | how good the outcome was; what it is counted from |
| surrogate loss | 替代损失 | a number whose only purpose is its gradient |
| lower bound, Jensen's inequality | 下界、琴生不等式 | the mean of logarithms is never above the logarithm of the mean |
| monotonic attention | 单调注意力 | it never goes back |
| expected alignment | 期望对齐 | where the walk stops on average |
| online, simultaneous translation | 在线、同声翻译 | speaking before the source has ended |
| location-aware (hybrid) attention | 位置感知（混合）注意力 | scores that see the previous weights |
| glimpse, saliency | 瞥视、显著性 | one look at a part of a picture; how much a place stands out |

## References

- R. J. Williams, *Simple statistical gradient-following algorithms for connectionist reinforcement learning*, Machine Learning 8, 1992.
- L. Itti, C. Koch, E. Niebur, *A model of saliency-based visual attention for rapid scene analysis*, IEEE PAMI 20(11), 1998.
- H. Larochelle, G. Hinton, *Learning to combine foveal glimpses with a third-order Boltzmann machine*, NeurIPS 2010.
- Y. Bengio, N. Léonard, A. Courville, *Estimating or propagating gradients through stochastic neurons for conditional computation*, arXiv 1308.3432, 2013.
- V. Mnih, N. Heess, A. Graves, K. Kavukcuoglu, *Recurrent models of visual attention*, NeurIPS 2014.
- K. Xu et al., *Show, attend and tell: neural image caption generation with visual attention*, ICML 2015.
- M.-T. Luong, H. Pham, C. D. Manning, *Effective approaches to attention-based neural machine translation*, EMNLP 2015.
- J. Chorowski et al., *Attention-based models for speech recognition*, NeurIPS 2015.
- C. Raffel et al., *Online and linear-time attention by enforcing monotonic alignments*, ICML 2017.
- E. Jang, S. Gu, B. Poole, *Categorical reparameterization with Gumbel-softmax*, ICLR 2017.
- A. van den Oord, O. Vinyals, K. Kavukcuoglu, *Neural discrete representation learning*, NeurIPS 2017.
- C.-C. Chiu, C. Raffel, *Monotonic chunkwise attention*, ICLR 2018.
- S. Wu, P. Shapiro, R. Cotterell, *Hard non-monotonic attention for character-level transduction*, EMNLP 2018.
- M. Ma et al., *STACL: simultaneous translation with implicit anticipation and controllable latency using prefix-to-prefix framework*, ACL 2019.

## Next

The decoder now knows where to look. But it still writes the most probable word at each step, and that is not always the way to the
best sentence: notebook **10, decoding**.
""")

out = Path(sys.argv[1] if len(sys.argv) > 1 else "notebooks/09_where_to_look.ipynb")
nb = new_notebook(cells=cells, metadata=METADATA)
nbformat.validate(nb)
nbformat.write(nb, out)
home = next(i for i, c in enumerate(cells) if c.source.startswith("# At home"))
print(len(cells), "cells,", home, "core,", sum(len(c.source.split()) for c in cells if c.cell_type == "markdown"), "words")
