md(r"""
## 5 · The table · 8 min

Now each score goes into the same translator, Luong's decoder with 128 units, and is trained from three seeds on 2,000
sentence pairs for 500 updates. So few data and so short a training leave the models far from perfect, and that is where differences
show. The learning rate was chosen for each score separately, among three, by the perplexity on
validation sentences. The test sentences have 3 to 16 words, as in training.
""")
code("""
predict(
    "Which score will have the highest perplexity, that is, be the worst?",
    ["additive", "dot", "scaled dot", "plain cosine", "cosine with a learnt strength", "location"],
    answer="plain cosine",
    because="It cannot become sharp, however long it is trained: every context is a mixture of many words. Even the "
            "location score, which never looks at a word, does better.",
)
""", fold=True)
code("""
NAMES = {"additive": "additive", "cosine_strength": "cosine, learnt strength", "location": "location", "dot": "dot",
         "scaled_dot": "scaled dot", "general": "general", "cosine": "plain cosine"}


def found(what, model, split="trained lengths"):
    return scoreboard.values(what, notebook="08", model=model, task="low-data", split=split)  # one value per seed


print(f"{'score':24} parameters   rate  perplexity    AER   BLEU  largest weight")
for model, name in NAMES.items():
    means = (fmean(found(what, model)) for what in ("perplexity", "aer", "bleu", "largest"))
    own = PLUGS[model].parameters(recipes.WIDTH, 1, None, **PLUGS[model].settings)
    print("{:24} {:10,}  {:5}  {:10.2f} {:6.2f} {:6.1f} {:15.2f}".format(name, own, recipes.RATES[model], *means))
""", fold=True)
code("""
perplexity = {name: found("perplexity", model) for model, name in NAMES.items()}
plots.show(
    plots.bars_with_seeds(perplexity, score="perplexity", limit=None,
                          title="3-16 words: mean of three seeds, each seed a dot"),
    alt="Perplexity of seven scores, three seeds each: the plain cosine is far above all others; additive and cosine "
        "with a learnt strength are lowest, then location, the dot products and the general score.",
)
""", fold=True)
code("""
for sentence, condition in (
    ("One learnt factor repairs it", "cosine, learnt strength < plain cosine"),
    ("and makes it better than the dot product", "cosine, learnt strength < dot"),
    ("A matrix between query and key does not help here", "general > dot"),
    ("With its own learning rate, the scaled dot product has the perplexity of the dot product", "scaled dot ~ dot"),
):
    claim(sentence, perplexity, condition)
claim("but a lower BLEU", {NAMES[model]: found("bleu", model) for model in ("dot", "scaled_dot")},
      "scaled dot < dot")
claim("Even the next worst score has less than half of the plain cosine's perplexity",
      {"general": perplexity["general"], "half of it": [x / 2 for x in perplexity["plain cosine"]]},
      "general < half of it")
ratio = fmean(perplexity["cosine, learnt strength"]) / fmean(perplexity["additive"])
claim("The cosine with a factor comes within 5 per cent of the additive score", {"ratio": ratio}, "ratio < 1.05")
claim("Training moved the factor only a little away from 10", {"strength": found("strength", "cosine_strength")},
      "10 < strength < 12")
""", fold=True)
md(r"""
The plain cosine and the cosine with a factor differ in a single number, and one is the last of the table while the other is the
second. The plain cosine gives its best word an eighth of the weight, and no training can change that. Every
score that *can* become sharp has less than half of its perplexity, whatever the formula. So the **temperature matters more than the
form** of the score. More sharpness than necessary is no gain, though: the general score has the largest weights of all, and is last but
one.

And $\sqrt d$? Whether it does harm depends on the learning rate. At the smallest of the three rates the scaled product, which starts
with equal weights, is far behind after 500 updates. At the rate that is best for both, it has caught up in perplexity, though
not quite in BLEU. We see this in the runs from which the rates were chosen (one seed each):
""")
code("""
def searched(model):
    runs = {lr: scoreboard.values("perplexity", notebook="08", model=model, task=f"rate={lr:g}") for lr in recipes.GRID}
    return {f"{NAMES[model]}, rate {lr:g}": values for lr, values in runs.items()}


search = searched("dot") | searched("scaled_dot")
claim("At the rate 0.004, √d makes the dot product worse", search, "scaled dot, rate 0.004 > dot, rate 0.004")
claim("At the rate 0.008 the difference is less than a tenth of that",
      {"ratio": (search["scaled dot, rate 0.008"][0] - search["dot, rate 0.008"][0])
       / (search["scaled dot, rate 0.004"][0] - search["dot, rate 0.004"][0])}, "ratio < 0.1")
""", fold=True)
md(r"""
What do the scores cost? We time them here, in turns, on one batch of 64 sentences. (Times differ from machine to machine.)
""")
code("""
some = make_batch(mini.load_split("valid", 64), english, french)
models = {name: recipes.build_model(model, len(english), len(french)) for model, name in NAMES.items()}
times = new_model.costs(models, some)
print(f"{'milliseconds of CPU':24} attention alone   whole step")
for name, (alone, whole) in times.items():
    print(f"{name:24} {alone:15.1f} {whole:12.0f}")
claim("The additive score costs several times as much as the dot product",
      {"additive": times["additive"][0], "3 × dot": 3 * times["dot"][0]}, "additive > 3 × dot")
claim("A whole training step costs less than twice as much",
      {"additive": times["additive"][1], "2 × dot": 2 * times["dot"][1]}, "additive < 2 × dot")
""", fold=True, loose=True)
md(r"""
The additive score needs a hidden layer for every pair of words, and a whole training step needs much else besides. This is one small
task and one short training, so do not take the ranking home, only the reasons. On real data, Britz and others (2017) found the
additive and the unscaled product equally good within a point of BLEU up to 512 units, and the product 4 points behind at 1,024. Vaswani
and others name that very finding as their reason for $\sqrt d$. **We now know** that a score must be able to become sharp, and that
beyond this its form matters little for the quality of the translation.
""")
md(r"""
## 6 · Location: good words, poor map · 6 min

One row of the table is strange. The location score never looks at a source word, and yet its perplexity is lower than that
of the dot product. How well does it align?
""")
code("""
predict(
    "The additive score has an alignment error rate of about 0.07. What does the location score have?",
    ["about the same", "about 0.15", "more than 0.2"], answer="more than 0.2",
    because="It can only learn at which position a word usually stands, and French often puts words in another order.",
)
""", fold=True)
code("""
aer = {name: found("aer", model) for model, name in NAMES.items()}
claim("In perplexity the location score is better than the dot product", perplexity, "location < dot")
claim("but its alignment error is more than twice as large",
      {"location": aer["location"], "twice dot": [2 * x for x in aer["dot"]]}, "location > twice dot")
plots.show(
    plots.bars_with_seeds(aer, score="alignment error rate", limit=1.0,
                          title="The same models: where does the largest weight fall?"),
    alt="Alignment error rate of seven scores, three seeds each: about 0.1 or less for additive, cosine with a learnt strength "
        "and the dot products, 0.28 for location, above 0.5 for the plain cosine.",
)
""", fold=True)
md(r"""
Here is that model once more, trained while you read this, with its map of a sentence in which a French pronoun stands before
its verb. The frames are the gold links.
""")
code("""
settings = dict(model="location", lr=recipes.RATES["location"], steps=recipes.STEPS, splits=("trained lengths",))
experiment = recipes.translating(0, **settings)
blind = experiment.model
_ = training.train(blind, experiment.batches, **experiment.training)
here, stored = experiment.splits["trained lengths"](blind, 300), found("perplexity", "location")
claim("The model trained here is like those of the table", {"perplexity": here["perplexity"]},
      f"{min(stored) - 0.3:.2f} < perplexity < {max(stored) + 0.3:.2f}")
""", fold=True, loose=True)
code("""
evening = next(pair for pair in mini.load_test_buckets()["8-11"]
               if "does not see her in the evening" in detokenise(pair.source))
(weights,) = metrics.forced_attention(blind, [evening], english, french)
plots.show(
    plots.alignment_map(evening.source, evening.target, weights, evening.sure, evening.possible, title="location"),
    alt="Map of the location score over he does not see her in the evening: weights near the diagonal, spread over "
        "neighbours, often outside the framed gold links.",
)
claim("Its alignment error is as large as theirs", {"alignment error": here["aer"]},
      f"{min(aer['location']) - 0.05:.2f} < alignment error < {max(aer['location']) + 0.05:.2f}")
""", fold=True, loose=True)
md(r"""
How can it translate without looking at words? Short English and French sentences run side by side, so a state that has counted
the words written so far knows roughly where the next one stands. A possible reason why *roughly* is enough (we have not
tested it): the states of a bidirectional encoder know their neighbours. In any case a good perplexity does not show that
a model looks where we think. If we want to know where it looks, we have to measure that. **We now know** that words and maps must be judged separately.
""")
md(r"""
## 7 · On real text · 4 min

Is the temperature a matter of our toy corpus? JupyterLab, in which you read this, brings the French of its menus and messages with
it. We train the cosine twice on 2,024 of these pairs, without a factor and with one, at the same learning rate.
""")
code("""
catalogue, held_out = parallel.hold_out(parallel.jupyterlab_french(), 200)
vocabularies = Vocabulary.build((p.source for p in catalogue), 2), Vocabulary.build((p.target for p in catalogue), 2)
menus = {}
for name in ("cosine", "cosine_strength"):
    _ = seeds.seed_everything(0)
    menus[name] = AttentiveSeq2Seq(*map(len, vocabularies), d_embedding=64, d_hidden=64, attention=name)
    _ = training.train(menus[name], Batches(catalogue, *vocabularies, batch_size=32, seed=0), steps=500, lr=8e-3)
scored = {NAMES[name]: metrics.evaluate(model, held_out, *vocabularies).as_dict() for name, model in menus.items()}
claim("On held-out menu entries the factor lowers the perplexity", {n: x["perplexity"] for n, x in scored.items()},
      "cosine, learnt strength < plain cosine")
""", fold=True, loose=True)
code("""
real = next(p for p in held_out if detokenise(p.source) == "synchronize styling theme with system settings")
maps = {NAMES[name]: metrics.forced_attention(model, [real], *vocabularies)[0] for name, model in menus.items()}
for (name, weights), seen in zip(maps.items(), (
    "every cell has nearly the same colour",
    "synchroniser looks at synchronize, thème at theme and paramètres at settings; the other rows are soft",
)):
    plots.show(plots.alignment_map(real.source, real.target, weights, title=name),
               alt=f"Map of the menu entry synchronize styling theme with system settings, {name}: {seen}.")
means = [float(weights.amax(-1).mean()) for weights in maps.values()]
claim("With the factor the largest weight of a row is, on average, more than twice as large",
      {"with": means[1], "twice without": 2 * means[0]}, "with > twice without")
""", fold=True, loose=True)
md(r"""
With plain cosine every French word receives nearly the same mixture of all English words. With the factor *synchroniser*, *thème* and
*paramètres* find their words in the map that is stored here, while *le* and *système* remain soft. Both models are far from good
(a few hundred updates on 2,024 pairs), but the difference is the one that we saw on our corpus. **We now know** what
to do with a score: ask first whether it can be as sharp as the task needs, and only then for its form.
""")
