md(r"""
## 1 · One question, six answers · 16 min

A decoder has written *une pomme*, and *rouge* should come next. Its state $s$ is the query; the states $h_j$ of the encoder,
one for each English word, are the keys. The query should find *red*. To keep every number on the page, all vectors have only
two entries.
""")
code("""
words = ["a", "red", "apple"]
h = torch.tensor([[-1.0, 0.5], [0.5, 1.5], [3.0, 1.0]], dtype=torch.float64)  # (S, 2) keys, one row per word
s = torch.tensor([1.0, 2.0], dtype=torch.float64)  # (2,) the query
""")
md(r"""
The plainest way to ask whether two vectors agree is the **dot product**, $\alpha_j = s \cdot h_j$. It has no parameters, so
there is nothing in it that could be trained. All the learning happens in the states themselves, which must
learn to point in the right direction.
""")
code("""
predict(
    "Which word gets the largest dot product with s = (1, 2)?", ["a (-1, 0.5)", "red (0.5, 1.5)", "apple (3, 1)"],
    answer="apple (3, 1)",
    because="The scores are 0, 3.5 and 5. *red* points almost exactly where the query points, but *apple* is longer, "
            "and a dot product grows with length.",
)
""", fold=True)
code("""
plots.show(
    compared(Compared(words, s.numpy(), h.numpy(), (h @ s).numpy(), "dot")),
    alt="Left: the query and three keys as arrows; red points nearly where the query points, apple is longer and "
        "points elsewhere. Right: dot products 0, 3.5 and 5, and their weights 0.01, 0.18 and 0.81.",
)
""", fold=True)
md(r"""
The longest key wins, although it points elsewhere. There are three ways out.

- We can take the lengths away. That is the **cosine**, $s \cdot h_j / (|s|\,|h_j|)$.
- We can put a learnt matrix between the two, $s \cdot W h_j$, which turns and stretches the keys before they are compared.
  This is Luong's **general** score.
- We can let a small network look at both, $v \cdot \tanh(W s + U h_j)$. This is Bahdanau's **additive** score.

Training would find the matrices; here we set them by hand. Two more scores belong on the list. The **scaled dot product**
divides by $\sqrt d$, the root of the width; that leaves the order of the scores as it is and only brings them closer together. And Luong's
**location** score, $(W_a s)_j$, does not look at $h_j$ at all: row $j$ of $W_a$ belongs to the $j$-th *position* in the sentence,
whatever word stands there.
""")
code("""
W = torch.tensor([[-0.5, 0.0], [0.0, 2.0]]).double()  # general
W_add = torch.tensor([[0.5, -0.25], [0.0, 0.25]]).double()  # additive: W, U and v
U = torch.tensor([[-1.0, 2.0], [1.0, 0.0]]).double()
v = torch.tensor([2.0, 1.5]).double()
W_a = torch.tensor([[-1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]).double()  # location: three positions
""")
code("""
SCORES = {  # (2,), (S, 2) -> (S,)
    "dot": lambda s, h: h @ s,
    "scaled dot": lambda s, h: h @ s / len(s) ** 0.5,
    "cosine": lambda s, h: h @ s / (h.norm(dim=-1) * s.norm()),
    "general": lambda s, h: h @ W.T @ s,
    "additive": lambda s, h: torch.tanh(W_add @ s + h @ U.T) @ v,
    "location": lambda s, h: W_a[: len(h)] @ s,
}
for name, score in SCORES.items():
    alpha = score(s, h)
    listed = "   ".join(f"{word} {x:5.2f} → {a:.2f}" for word, x, a in zip(words, alpha, alpha.softmax(0)))
    print(f"{name:12} {listed}")
""")
md(r"""
Every entry reads score → weight. The two dot products look at *apple*, and the four other scores at *red*. But compare the
cosine with the rest: it has the right word on top, and still gives it less than half of the weight. Section 2 is
about that. This is what each score needs, with $d$ the width of both vectors:

| score | formula | parameters | from |
|---|---|---|---|
| dot | $s \cdot h_j$ | 0 | Luong 2015, section 3.1 |
| scaled dot | $s \cdot h_j / \sqrt d$ | 0 | Vaswani 2017, eq. 1 |
| cosine | $g\, s \cdot h_j / (\lvert s\rvert \lvert h_j\rvert)$, $g = 1$ or learnt | 0 or 1 | Graves 2014 |
| general | $s \cdot W h_j$ | $d^2$ | Luong 2015, section 3.1 |
| additive | $v \cdot \tanh(W s + U h_j)$ | $2d^2 + d$ | Bahdanau 2015, A.1.2 |
| location | $(W_a s)_j$ | $d$ × positions | Luong 2015, section 3.1 |
""")
code("""
predict(
    "Now *red* and *apple* change places in the sentence, and their states with them. For which score does the weight "
    "*not* move along with its word?",
    ["dot", "cosine", "additive", "location"], answer="location",
    because="The others compare the query with each key, wherever it stands. The location score has decided in favour "
            "of the second position, whatever word stands there.",
)
""", fold=True)
code("""
order = torch.tensor([0, 2, 1])
moved = {name: float((score(s, h[order]) - score(s, h)[order]).abs().max()) for name, score in SCORES.items()}
claim("Five scores move along with their words", {"largest difference": max(moved[name] for name in list(SCORES)[:5])},
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
<details><summary>Hint 1</summary>Bring every vector to length 1 first; then the cosine is a dot product. Over which dimension
do you take its length?</details>

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
`compare` runs for every query.
""")
code("""
show_source(GeneralScore, CosineScore.compare, LocationScore.compare, doors=False, docstrings=False)
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
**We now know** the usual scores. They differ in three things: whether the lengths of the vectors count, whether something is learnt
between query and key, and whether the key is looked at at all.
""")

md(r"""
## 2 · How sharp can the weights become? · 8 min

The softmax sees only the *differences* between scores: if one score lies $c$ above another, its weight is $e^c$ times as
large. A dot product has no limit, so training can make the weights as sharp as it likes, simply by making the vectors longer. A cosine
always lies between -1 and 1.
""")
code("""
predict(
    "A sentence of 16 words, plain cosine. The right key points exactly where the query points, the 15 others "
    "exactly the other way. How large is the weight of the right word?",
    answer=0.33, tolerance=0.03,
    because="$e^{1} / (e^{1} + 15\\\\,e^{-1}) = 1 / (1 + 15\\\\,e^{-2}) = 0.33$. Two thirds of the context come from words "
            "that point the other way, and no training can improve on this.",
)
""", fold=True)
md(r"""
The remedy is a single number. We multiply the cosine by a factor $g$ and let training choose it. We start it at 10, so
that the model can be sharp from the beginning. Graves and others call $g$ the **key strength**. One over such a factor is known as the
**temperature**, in physics and in language models: a high temperature makes the weights equal, a low one makes them sharp.
""")
code("""
for n in (4, 8, 16, 32):
    best = [1 / (1 + (n - 1) * math.exp(-2 * g)) for g in (1, 10)]
    print(f"{n:2} words: largest possible weight {best[0]:.2f} with g = 1, {best[1]:.2f} with g = 10")
""", fold=True)
md(r"""
Move the factor, choose another score, and change the length of *apple*. Which of the scores can you make look at *red* by the
factor alone? And which of them care about the length?
""")
code("""
score_explorer(words, s, h, SCORES, kind="cosine")
""")
md(r"""
With the cosine, a factor of 10 gives *red* nearly all of the weight, and the length of *apple* changes nothing. With the dot
product a larger factor only makes the wrong word more certain, and shortening *apple* is what repairs it. A factor
changes how sharp the weights are, but never which of them is the largest.

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
<details><summary>Hint 1</summary>The scores are g and, 15 times, -g. Write the largest weight as a fraction, and divide
numerator and denominator by e to the power of g.</details>

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

If the entries of query and key are independent and have variance 1, their dot product is a sum of $d$ products, and its
standard deviation is $\sqrt d$. In a wide layer the scores are then so far apart that the softmax puts nearly all weight on one
word, by accident, before any training. Dividing by $\sqrt d$ prevents it. Here are 10 random keys for each random query, with all entries of
variance 1:
""")
code("""
_ = seeds.seed_everything(0)
for d in (16, 64, 256, 1024):
    query, keys = torch.randn(500, 1, d).double(), torch.randn(500, 10, d).double()
    alpha = (query * keys).sum(-1)  # (500, 10)
    dot, scaled = (x.softmax(-1).amax(-1).mean() for x in (alpha, alpha / d**0.5))
    print(f"d = {d:4}: mean of the largest weight, dot {dot:.2f}, scaled dot {scaled:.2f}")
""")
md(r"""
So the argument is right, *if* the variance is 1. Is it? A recurrent translator begins differently. In a new GRU with
128 units, before any training, we measure a standard deviation of about 0.15 for the entries of queries and keys.
""")
code("""
predict(
    "Entries with a standard deviation of 0.15 instead of 1, and d = 128. About how large is the standard deviation "
    "of the dot products?",
    answer=0.25, tolerance=0.06,
    because="$\\\\sqrt{128} \\\\cdot 0.15 \\\\cdot 0.15 = 0.25$. The scores are close together already. Divided by √128 they "
            "would lie within about 0.02 of each other.",
)
""", fold=True)
code("""
english, french = recipes.vocabularies()
fresh = {}
for name in ("dot", "scaled_dot"):
    _ = seeds.seed_everything(0)
    model = recipes.build_model(name, len(english), len(french))
    fresh[name] = new_model.sizes(model, mini.load_split("valid", 100), english, french)
print(f"standard deviation of the entries of a query {fresh['dot']['query']:.2f}, of a key {fresh['dot']['key']:.2f}")
for name, found in fresh.items():
    print(f"{name:10} standard deviation of the scores of one query {found['scores']:.2f}, mean of the largest weight "
          f"{found['largest']:.3f} (equal weights: {found['equal']:.3f})")
claim("In a new GRU the entries are far from variance 1", {"query": fresh["dot"]["query"], "key": fresh["dot"]["key"]},
      "query < key < 0.25")
claim("Divided by √128, the weights of a new model are equal to within a few per cent",
      {"largest / equal": fresh["scaled_dot"]["largest"] / fresh["scaled_dot"]["equal"]}, "largest / equal < 1.05")
""", fold=True)
md(r"""
Divided by $\sqrt{128}$, all words get nearly the same weight, so every context is nearly the mean of all states. The
gradient that should tell the words apart is eleven times smaller, too, because the chain rule puts the same factor in front of it:
$\partial \alpha_j / \partial s = h_j / \sqrt d$. Whether this costs anything in the end is a question for the table in section 5.
**We now know** that a scale depends on how large the entries *are*, and not only on how many there are.
""")

md(r"""
## 4 · Who asks, and where the context goes · 13 min

Which state is the query? It is the most frequent question about attentive decoders ("`hidden` or `output`? $s_{i-1}$ or
$s_i$?"), and it has nothing to do with the score. Three arrangements are in use. The orange arrow is the query, the green
one the context.
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
| | has the query read $y_{i-1}$? | how does the context reach the next state? |
|---|---|---|
| Bahdanau 2015 | no | through the cell |
| Luong 2015 | yes | only with input feeding (dashed) |
| conditional GRU (Nematus 2017) | yes | through the second cell |

**Input feeding** (Luong, section 3.3). In Luong's decoder the context never enters the recurrence: what was read for one word
is forgotten before the next. So the paper feeds the *attentional vector* $\tilde h_i = \tanh(W_c[s_i; C_i])$ back in, side by
side with the next word. The cell's input becomes $[y_i; \tilde h_i]$, with $\tilde h_0 = 0$, and the decoder can know where it
has looked. The price is parallelism: a state now depends on the contexts before it, so the words must be computed one
after the other, in training too.
""")
code("""
show_source(AttentiveSeq2Seq._word_by_word, docstrings=False)
""")
code("""
predict(
    "In a small decoder we put all weight of the first look on the third word, by hand. Does that change what it says "
    "at the second and the third word?",
    ["with and without input feeding", "only with input feeding", "only without it", "never"],
    answer="only with input feeding",
    because="Without input feeding the context goes to the output and nowhere else.",
)
""", fold=True)
code("""
def heard(feeding):
    _ = seeds.seed_everything(0)
    model = AttentiveSeq2Seq(8, 9, d_embedding=3, d_hidden=2, input_feeding=feeding).double().eval()
    source, target = torch.tensor([[4, 5, 6]]), torch.tensor([[BEGIN, 4, 5]])
    moved = forced(torch.tensor([[[0.0, 0.0, 1.0]]]).double())  # all weight of the *first* look on the third word
    with plugged(model, SteeredAttention(model.attention, moved)):
        steered = model(source, target)
    return (steered - model(source, target)).abs().amax(-1)[0].tolist()  # change of the logits, one number per word


without, with_it = heard(False), heard(True)
claim("Without input feeding the later words do not change", {"change": max(without[1:])}, "change < 1e-15")
claim("With it the next word does", {"second word": with_it[1]}, "second word > 0.01")
claim("and the one after it too", {"third word": with_it[2]}, "third word > 0.01")
""", fold=True)
md(r"""
**Exercise 08.3 · ●●●○○ · 8 min · in class** - a step with input feeding

Write `my_feeding_step(word, fed, state, states, mask, score, gru, W_c)`, one step of Luong's decoder with input feeding: `word`
(B, H) the embedding of $y_{i-1}$, `fed` (B, H) the attentional vector of the step before, `state` (B, H) the cell's old state,
`states` (B, S, H) the encoder's, `mask` (B, S) bool, True at real words. `score(query, keys)` gives (B, S); `gru(input, state)`
gives the new state, and its input is [word; fed]. The attentional vector is tanh(W_c [s; C]), `W_c` (H, 2H). Return it (B, H), and
the new state (B, H).
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
**We now know** that the score and the wiring are two separate choices: any of the scores can stand in any of the three decoders, as
long as the widths fit (a product without a matrix needs query and key of the same width).
""")
