"""DRAFT. Writes notebooks/09_where_to_look.ipynb from the cells below (outputs come from tests/refresh.py).

Cells that read the scoreboard need the rows of experiments/nb09/recipes.py, which are not trained yet; what they are
to say is marked HYPOTHESIS (figures of prototypes, one or two seeds, in facts-08-10.md 9.5): keep, turn round or drop.
"""
import itertools
import sys
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

sys.path.insert(0, "tests")
from hygiene import GUARD  # noqa: E402

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


def exercise(number, cell, solution):
    """The four cells of an exercise; task and hints from the check's docstring."""
    task, _, rest = TEXTS[number].partition("\nHint 1: ")
    one, _, rest = rest.partition("\nHint 2: ")
    two = rest.partition("\nSolution: ")[0]
    if "        def " in task or "\n    def " in task:
        task = task[: task.index("\n\n    def ")]  # the faulty code stands in the cell
    md(task)
    code(cell)
    md("\n\n".join(f"<details><summary>Hint {k}</summary>{' '.join(h.split())}</details>" for k, h in ((1, one), (2, two))))
    code("# Solution (click the dots)\n" + solution, solution=True)


md(r"""
# 09 · Must it look everywhere, softly?

Until now a decoder looked at every source word for every target word, and mixed what it found. Both halves of that sentence can be
changed. It may look at a few words only, in a window; and it may take one word instead of a mixture. The first change is a question
of where the window stands. The second looks harmless and changes the training altogether, because a choice has no gradient.

**In class: 58 min** · at home: 55 min · computing: about 45 s

**Objectives.** After this class you can

1. say what Luong's global, local-m and local-p attention see, and work out their weights by hand;
2. explain where the gradient of local-p's place comes from, and where it ends;
3. replace soft weights by a choice, and say why argmax alone cannot be trained;
4. derive REINFORCE for one draw, and say what the baseline does and what it does not do;
5. tell apart three objectives that are often taken for one another, by their numbers.

**Prerequisites.** Notebook 07 (query, keys, context, Luong's decoder step, the alignment error rate), 08 (the general score).

**Where the ideas come from.** Windows: Luong, Pham and Manning (2015), who wanted to save work on long sentences. Hard attention comes from
vision: Mnih and others at DeepMind (2014) let a network look at one patch of a picture after the other, and Xu and others (2015) let a decoder choose a region of a
photograph for every word of its caption. Both trained with Williams' REINFORCE of 1992.
""")

code(GUARD + """
from functools import partial
from statistics import fmean

import torch
import torch.nn.functional as F

from course_utils import plots, scoreboard, seeds, training
from course_utils.attention.dense import DenseAttention
from course_utils.attention.hard import HardAttention, one_of, surrogate
from course_utils.attention.local import LocalMonotonicAttention, LocalPredictiveAttention
from course_utils.attention.location_aware import LocationAwareAttention
from course_utils.attention.monotonic import MonotonicAttention, first_key, walk
from course_utils.attention.scores import DotScore
from course_utils.attention.socket import masked_softmax
from course_utils.attention.steering import plugged
from course_utils.corpora import mini
from course_utils.exercises import ex09
from course_utils.experiments.nb09 import copying, objectives, online, recipes
from course_utils.seq2seq.attentive import AttentiveSeq2Seq
from course_utils.teaching.claims import claim
from course_utils.teaching.predict import predict
from course_utils.teaching.source import show_source
from course_utils.text.batches import Batches, make_batch
from course_utils.text.vocabulary import Vocabulary
from course_utils.widgets.where import walk_player, window_explorer

low_data = partial(scoreboard.values, notebook="09", task="low-data", split="trained lengths")
copies = partial(scoreboard.values, "exact_match", notebook="09", task="strings")
""", fold=True)

md(r"""
## 1 · A window that walks along · 9 min

Here is one small example for the whole class. A sentence of six words is translated word by word. For each target word the decoder
gives every source word a score; the numbers below are made by hand, so that we can follow them. With **global** attention, the
attention of notebooks 07 and 08, all six words share the weight.
""")

code("""
source, target = "the black cat sees her .".split(), "le chat noir la voit .".split()
scores = torch.tensor([[3., 0, 1, 0, 0, -1], [1, 2, 4, 0, 1, -1], [0, 4, 2, 0, 0, -1],
                       [1, 0, 0, 2, 4, -1], [0, 0, 1, 4, 3, -1], [0, 0, 0, 0, 0, 4]]).double()
print(torch.softmax(scores, -1).numpy().round(2))
""")

md(r"""
Most of these weights are small. They cost as much work as the large ones, and in a long text they add up to noise. English and French
keep nearly the same order, so the word that translates target word t stands near place t. Luong's **local-m** (m for *monotonic*)
simply puts a window there: it looks at the words from $t - D$ to $t + D$ and at no others. The softmax runs inside the window. Nothing
is learnt about the place.
""")

code("""
D, places = 1, torch.arange(6)
near = (places - places[:, None]).abs() <= D  # (T, S): word s is near place t
print(masked_softmax(scores, near).numpy().round(2))
""")

code("""
predict(
    "Suppose that French were twice as long as English, two words for every one. Where does the window of local-m stand at the "
    "end of the sentence?",
    ["on the last source word", "beyond the last source word, or held there by a rule", "in the middle"],
    answer="beyond the last source word, or held there by a rule",
    because="p = t runs on with the target. The paper does not say what happens then; the authors' code holds the window at the "
            "last word, and so does ours. In the meantime it has run ahead of the translation all the way.",
)
""", fold=True)

code("show_source(LocalMonotonicAttention.forward, docstrings=False, doors=False)")

md(r"""
The class computes all scores and masks those outside the window. On sentences this saves no work; that a window saves work on long
texts is the subject of notebook 20. Here it is about *where to look*.

**We now know** that a window is a mask which depends on t, and that local-m buys it with the assumption that both languages run at the same pace.
""")

md(r"""
## 2 · A window that is predicted · 14 min

If the pace differs, the decoder must say where the window stands. In **local-p** (p for *predictive*) a small network reads the query
and answers with a place, a real number between the first word and the last:

$$p_t = (S - 1)\,\sigma\big(v \cdot \tanh(W_p\, q_t)\big), \qquad
a_t(s) = \operatorname{softmax}_{|s - p_t| \le D}(\alpha_{ts}) \cdot \exp\Big(-\frac{(s - p_t)^2}{2\sigma^2}\Big), \quad \sigma = D/2.$$

Why the Gaussian? The edge of the window is a step. If only the window depended on $p_t$, moving $p_t$ a little would change nothing at all until
a word crosses the edge, so the gradient would be zero almost everywhere and $W_p$ could never learn. The Gaussian makes every
weight depend smoothly on $p_t$: it is the only road by which the gradient reaches v and $W_p$.
""")

code("""
window_explorer(source, target, scores, at=1, kind="local-p", centre=1.4, window=2)
""")

md(r"""
Move the place with local-p chosen: the bars follow smoothly, until a word enters or leaves the window and they jump. Notice the title. The softmax makes
the weights sum to 1, then the Gaussian takes its part away, and nothing is given back: the weights sum to less than 1.
""")

code("""
predict(
    "All scores are equal, D = 5, and the window lies well inside a long sentence. What do local-p's weights sum to?",
    answer=0.6, tolerance=0.05,
    because="The softmax gives 11 words 1/11 each, and the mean of the Gaussian over the window is about 0.6. So a local-p "
            "context is shorter than a global one; the next layer can learn to live with that.",
)
""", fold=True)

exercise("09.1", "def my_local_p(scores, centre, window, mask):\n    return ...\n\n\nex09.check_09_1(my_local_p)", """
def solution_09_1(scores, centre, window, mask):
    away = torch.arange(scores.shape[1]) - centre.unsqueeze(-1)
    inside = mask & (away.abs() <= window)
    return masked_softmax(scores, inside) * torch.exp(-2 * (away / window) ** 2)

assert ex09.check_09_1(solution_09_1)""")

md(r"""
How good are they? We train the same translator with each of them on 2,000 sentences, three seeds each; learning rates were chosen on
`valid` for each model. Perplexity is e to the mean negative log-probability of the right next word; the alignment error rate compares the
largest weight of every target word with the gold alignment.
""")

code("""
names = ["global", *recipes.WINDOWS]
for name in names:  # HYPOTHESIS: rows are not trained yet
    print(name, *(f"{key} {fmean(low_data(key, model=name)):.3g}"
                  for key in ("perplexity", "aer", "bleu")), sep="   ")
""")

md(r"""
*(HYPOTHESIS, to be rewritten from the rows: with few updates a narrow local-m can be far ahead, because it need not learn the alignment, and behind in
another seed; local-p with D = 2 loses to global and with D = 4 is about equal. A possible reason, not tested yet: a window in the wrong place sees
no right word, so no gradient says in which direction to move. To test: the share of updates in which the gold word lies outside the window; local-p
started from a bias that puts p near t.)*

**We now know** that a predicted place learns through its Gaussian alone, and only from what already lies inside the window.
""")

md(r"""
## 3 · One word instead of a mixture · 8 min

A translator looks at *cat* to write *chat*; why should any of *sees* be mixed in? **Hard attention** takes the one word with the
largest weight. At test time nothing is easier.
""")

code("""
h = torch.randn(6, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)  # six states
soft = torch.softmax(scores[1], -1)
hard = F.one_hot(soft.argmax(), 6).double()
print("soft context", (soft @ h).numpy().round(2), "  hard context", (hard @ h).numpy().round(2))
""")

code("""
predict(
    "A translator was trained with soft attention. At test we replace its weights by the single largest one. Its perplexity "
    "becomes ...",
    ["much worse", "a little worse", "better"], answer="a little worse",
    because="Trained weights are already sharp for most words, so the mixture hardly differs from its largest part.",
)
""", fold=True)

code("""
claim("Read with its largest weight alone, a softly trained model loses little",  # HYPOTHESIS: 7.6 against 7.4 in one seed
      {"soft": low_data("soft", model="global"),
       "largest": low_data("largest", model="global")}, "soft < largest")
""")

md(r"""
To *train* with a choice is another matter. The argmax does not change when a score moves a little, so its derivative is zero, and where it
does change it jumps. No gradient reaches the scores.
""")

code("""
leaf = scores[1].clone().requires_grad_()
for how in ("argmax", "straight_through"):
    plug = HardAttention(DotScore(), how)
    context, _, _ = plug(leaf.view(1, 1, 6), torch.eye(6).double()[None], h[None])  # q·k gives back the scores
    grads = torch.autograd.grad(context.sum(), leaf, allow_unused=True)[0] if context.requires_grad else None
    print(f"{how:17}", "no gradient" if grads is None else grads.numpy().round(3))
""")

md(r"""
The second line is a trick that cheats openly. The **straight-through** estimator (Bengio, Léonard and Courville, 2013) writes
`hard + soft - soft.detach()`: the number is that of the hard choice, the gradient that of the soft weights. It pretends, on the way
back, that nothing was chosen. So it is the gradient of no function at all; still, it often points in a useful direction.

**We now know** that a choice is cheap at test time, that it has no gradient, and that straight-through borrows one.
""")

md(r"""
## 4 · Three objectives · 11 min

There is a more honest way than straight-through: let the decoder **draw** its source word s from the weights a, speak, and learn from what came of it. But what
should it learn? Three goals are often spoken of as if they were the same thing. They are not. For one target word, with weights $a_j$, states $h_j$, and $p_j$ the probability of the right word if $h_j$ alone is the context:

| | formula | who trains it |
|---|---|---|
| soft | $\log p\big(\sum_j a_j h_j\big)$ | soft attention |
| expected | $\sum_j a_j \log p_j$ | REINFORCE, section 5 |
| mixture | $\log \sum_j a_j p_j$ | the likelihood of "draw, then speak" |

The logarithm is concave, so by Jensen's inequality the second is never above the third: Xu and others call it a lower bound, $L_s$. It punishes every draw
that cannot say the word, however small its weight, and that is why it makes weights sharp. The first lies on no side of the others.
""")

code("""
a, p = torch.tensor([0.7, 0.3]).double(), torch.tensor([0.9, 0.001]).double()
print(f"expected {float(a @ p.log()):.2f}   mixture {float((a @ p).log()):.2f}")
""")

code("""
predict(
    "The weight of the useless word falls from 0.3 to 0.1. Which of the two numbers gains more?",
    ["expected", "mixture", "both the same"], answer="expected",
    because="Expected pays 0.3 · log 0.001 = -2.07 for it, and then -0.69; the mixture rises only from log 0.63 to log 0.81.",
)
""", fold=True)

exercise("09.2", "def my_objectives(weights, log_probs):\n    return ...\n\n\nex09.check_09_2(my_objectives)", """
def solution_09_2(weights, log_probs):
    mean = (weights * log_probs.masked_fill(weights == 0, 0)).sum(-1)
    return mean, (weights.log() + log_probs).logsumexp(-1)

assert ex09.check_09_2(solution_09_2)""")

md(r"""
**We now know** that "hard attention" is not one thing: say what is trained, and how the weights are read.
""")

md(r"""
## 5 · REINFORCE · 16 min

The middle goal can be trained with one draw per word. Call $r(s) = \log p(y \mid s)$ the **reward**, the log-probability of the right target word when the drawn s alone is
its context. We want the mean reward over draws to grow:

$$L = \sum_s a_s\, r(s), \qquad
\nabla L = \sum_s \big(a_s \nabla r(s) + r(s) \nabla a_s\big)
         = \sum_s a_s \big(\nabla r(s) + r(s)\, \nabla \log a_s\big).$$

The last step uses $\nabla a = a \nabla \log a$, and it is the whole idea: written so, the gradient is itself a *mean over draws*. So one draw gives an
estimate that is right on average. The first part trains what speaks, the second where to look: it raises the log-weight of what was drawn, by as
much as the reward was large.

There is one difficulty. Rewards are logarithms of probabilities, so all are negative, and every draw lowers its own weight, good draws less than
bad ones. On average that is right, but single draws point almost anywhere. The remedy is to count the reward from a **baseline** b. Because
$\sum_s a_s \nabla \log a_s = \nabla \sum_s a_s = 0$, subtracting b changes nothing on average, for any b that does not depend on the draw.
""")

code("""
e = torch.tensor([0.3, -0.5, 1.0, 0.0]).double().requires_grad_()
r = torch.tensor([-3.0, -1.0, -2.5, -0.2]).double()
exact = torch.autograd.grad((e.softmax(0) * r).sum(), e)[0]
draws = one_of(e.softmax(0).detach().expand(20_000, 4), draw=True)  # one-hot rows
print("exact              ", exact.numpy().round(2))
spread = {}
for name, b in (("none", 0.0), ("mean reward", float(e.detach().softmax(0) @ r)), ("far too low", -6.0)):
    single = ((draws @ r - b)[:, None] * (draws - e.detach().softmax(0)))
    spread[name] = float(single.var(0).sum())
    print(f"{name:19}", single.mean(0).numpy().round(2), f"  variance {spread[name]:.2f}")
""", loose=True)

code("""
claim("The mean reward as baseline steadies the estimate", spread, "mean reward < none")
claim("A bad baseline makes it worse than none", spread, "far too low > none")
""")

exercise("09.3", "def my_reinforce(scores, drawn, reward, baseline):\n    return ...\n\n\nex09.check_09_3(my_reinforce)", """
def solution_09_3(scores, drawn, reward, baseline):
    chosen = F.one_hot(drawn, scores.shape[1])
    return (reward - baseline).unsqueeze(1) * (chosen - scores.softmax(1))

assert ex09.check_09_3(solution_09_3)""")

md(r"""
In the package the baseline is a running mean of the rewards, as in Xu and others: $b \leftarrow 0.9\,b + 0.1\,r$. One loss whose gradient is the
estimate is all that training needs; as a number that loss means nothing.
""")

code("show_source(surrogate, objectives.reinforce, docstrings=False)")

md(r"""
In our decoder no context reaches the next state, so every target word can be scored with each source word alone, and all three numbers are exact. Below,
models trained in five ways, each read in four: with the mixture of states, with the largest weight alone, and as the two means over draws.
""")

code("""
for name in ("global", "straight-through", "sampled", "sampled-no-baseline", "expected", "mixture"):  # HYPOTHESIS: no rows yet
    print(f"{name:20}", *(f"{key} {fmean(low_data(key, model=name)):.3g}"
                          for key in ("soft", "largest", "expected", "mixture")), sep="   ")
""")

md(r"""
*(HYPOTHESIS, to be written from the rows: each model is best at what it was trained for; straight-through equals soft attention at the same number of
updates; REINFORCE is slower than "expected", which is the same objective without drawing, and the difference is the price of noise; without baseline more so.)*
""")

md(r"""
**We now know** how to train a choice without cheating, and that its price is noise, which a baseline lowers but does not remove.
""")

md(r"""
# At home

## Reading on from where we stopped

In speech, and when one interprets while another still speaks, the end of the source is not there yet. **Monotonic attention** (Raffel and others, 2017) never goes
back: for each target word it starts at the source word where it stopped before, and decides at each word anew, *stop here or go on?*, with probability
$p_{ij} = \sigma(e_{ij})$. Move the player below: at draw 0 it decodes, stopping wherever $p > 1/2$; other draws throw coins.
""")

code("""
p = torch.tensor([[.9, .1, .2, .1, .1], [.2, .3, .9, .2, .4], [.1, .8, .2, .3, .6], [.1, .1, .4, .4, .9]])
walk_player("the black cat sees her".split(), "le chat noir la".split(), p, at=4)
""")

md(r"""
The third row shows the price: *noir* translates *black*, which lies behind, and the walk cannot return. Such choices have no gradient, but the walk has an average that can be computed. Let $q_{ij}$ be the
chance to *arrive* at word j. One arrives there by beginning there, or by arriving at j - 1 and not stopping:

$$q_{ij} = (1 - p_{i,j-1})\,q_{i,j-1} + a_{i-1,j}, \qquad a_{ij} = p_{ij}\,q_{ij}.$$

Training uses this expected alignment, decoding the walk itself. A row may sum to less than 1, because the walk may pass all words by. It must not be made to sum to 1: the rest is
the chance of finding nothing.
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
The same recursion can be written in one line with cumulative products, and printed so it is fast. But it divides by a product of many $1 - p$, and that becomes 0.
""")

code("""
p, start = torch.full((60,), 0.9, dtype=torch.float64), F.one_hot(torch.tensor(30), 60).double()
passed = torch.cat([torch.ones(1), (1 - p).cumprod(0)[:-1]]).double()
print("by division", float((p * passed * (start / passed.clamp(min=1e-10)).cumsum(0)).sum()), "  by the walk", float(walk(p, start).sum()))
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
Training is soft and decoding hard, so the two must agree: p should be near 0 or 1. Raffel's remedy is **noise** on the energy before the sigmoid, in training only. Against noise only large energies are reliable, so the model
learns to make them large.
""")

code("""
for name in recipes.NOISES:  # HYPOTHESIS: hard 11.0 / 19.5, soft 7.0 / 11.9 at noise 1 in two seeds; the gap should shrink with noise
    print(name, *(f"{key} {fmean(low_data(key, model=name)):.3g}" for key in ("walk", "perplexity", "r")))
""")

md(r"""
## Is it online?

Hard monotonic attention looks at nothing right of its stop. Does that make the translator *online*, able to speak before the sentence has ended? Try it: give the model the first word, the first two, and so on, and let it
write until it would have to look further. Online means that nothing it has said must ever be taken back.
""")

code("""
# TODO: two small live-trained models (AttentiveSeq2Seq and online.OneWaySeq2Seq, MonotonicAttention, about 250 updates), then
# for heard, said in enumerate(online.said_so_far(net, words, *vocabularies), 1): print(heard, *said)
""")

md(r"""
The first model takes words back, the second never does. Attention was not to blame: a bidirectional encoder has seen the whole sentence before the first state is ready, and the decoder starts from the encoder's *final* state. Only
with an encoder that reads from left to right and a decoder that starts from zeros is the chain unbroken.

## Content and place together

Among equal words, content cannot say which comes next. Chorowski and others (2015) recognised speech, where the same sound comes again and again, and let the score see the weights of the step before:

$$e_{ij} = w \cdot \tanh(W s_{i-1} + V h_j + U f_{ij} + b), \qquad f_i = F * a_{i-1}.$$

F is a small filter that slides along the old weights. So the model can learn "one to the right of where I was". The cleanest test is to copy strings of three letters, longer than those of training.
""")

code("show_source(LocationAwareAttention.forward, docstrings=False, doors=False)")

code("""
for kind in copying.KINDS:  # HYPOTHESIS: trained to 12; content 1.00 at 12 and .05, .02 at 16; hybrid 1.00 at 16 in both seeds, then the seeds part
    print(kind, *(f"{n}: {fmean(copies(model=kind, split=f'length-{n:02d}')):.2f}" for n in copying.TESTED), sep="   ")
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
## What the papers found

- Luong, Pham and Manning (2015), English to German, perplexity / BLEU: global general 6.1 / 17.3, local-m general 6.2 / 18.6, **local-p general 5.9 / 19.0**, the best single variant. In alignment local-m (0.34) was better than local-p (0.36).
- Chorowski and others (2015), phone error rate on TIMIT: content only 18.7 %, location-aware 18.0 %, with smoothing 17.6 %. On utterances repeated ten times the content model failed and the hybrid did not.
- Xu and others (2015), captions, BLEU-4 soft / hard: COCO 24.3 / 25.0. *(from memory of the paper; check before it is kept)*

## What came after

- **MoChA** (Chiu and Raffel 2018): stop hard, then look softly at the few words before the stop. **MILk** and **wait-k** (Arivazhagan and others, Ma and others 2019) are its heirs in simultaneous translation; wait-k simply stays k words behind, which is local-m online.
- **RNN-T** and CTC: monotonic alignments added up exactly, the standard of speech recognition on a telephone.
- **Gumbel-softmax** (2016-17): a draw that can be differentiated, at the price of a temperature. **Sparsemax, entmax** (2016-2019): soft weights of which most are exactly 0.
- **Exact marginals** (Wu, Shapiro and Cotterell 2018; Deng and others 2018): the "mixture" of section 5, and variational bounds where it cannot be computed.
- **Sliding windows** with a cache are in many language models of today (notebook 20); which expert answers a token in a *mixture of experts* is a hard choice, trained with tricks of this family.

## Where we differ from the papers

The encoder is bidirectional and one layer deep, Luong's is stacked and reads one way. local-p's place lies between the first and the last word, as in the authors' code; in the paper it is $S \cdot \sigma(\ldots)$. A local-m window stays at the last word
when t runs beyond the source. REINFORCE here charges a draw with its own word only, has no entropy term, and does not mix in soft contexts half the time, as Xu and others did.

## Often said, and wrong

- *"Local attention cannot improve quality, it only saves time."* Luong's best single model was local-p.
- *"Bahdanau's attention is local, Luong's global."* Bahdanau's looks at every source word.
- *"Hard visual attention is from Google Mind."* Mnih and others (2014) are of DeepMind.
- *"The hybrid is for outputs longer than their inputs."* It comes from speech, where the input is far longer; what it needs is repetition.
- *"Monotonic attention is online."* Only behind an encoder that is.
- *"Rows of monotonic attention that do not sum to 1 are a bug."* The rest is the chance to find nothing.
- *"The baseline must be a good estimate, or the gradient is wrong."* It is right for any baseline; a bad one makes it noisier.

## Glossary

| English | 中文 | in one clause |
|---|---|---|
| global / local attention | 全局/局部注意力 | all source words / those in a window |
| window, half-width D | 窗口,半宽 | the words from p - D to p + D |
| soft / hard attention | 软/硬注意力 | a mixture of values / one of them |
| straight-through estimator | 直通估计器 | forwards a choice, backwards as if soft |
| REINFORCE, policy gradient | 策略梯度 | reward times the gradient of log p of the draw |
| baseline | 基线 | what the reward is counted from |
| lower bound, Jensen's inequality | 下界,詹森不等式 | mean of logarithms ≤ logarithm of the mean |
| monotonic attention | 单调注意力 | never goes back |
| online, simultaneous | 在线,同步(同声) | speaks before the source has ended |
| location-aware (hybrid) attention | 位置感知(混合)注意力 | scores see the previous weights |

## Questions to think about

1. Which languages would make local-m fail, and what would the window of local-p have to learn for them?
2. A REINFORCE model is given its rewards multiplied by 100. What changes, and which setting of training would you change with it?
3. Why may the baseline depend on the target word, but not on the draw?
""")

out = Path(sys.argv[1] if len(sys.argv) > 1 else "/work/notes/nb09/09_where_to_look.ipynb")
nb = new_notebook(cells=cells, metadata={"kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
                                         "language_info": {"name": "python"}})
nbformat.validate(nb)
nbformat.write(nb, out)
print(len(cells), "cells,", sum(len(c.source.split()) for c in cells if c.cell_type == "markdown"), "words")
