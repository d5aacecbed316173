md(r"""
## 5 · The table · 9 min

Now each score goes into the same translator, Luong's decoder with 128 units, and is trained on 2,000 sentence pairs for 500 updates, from
three seeds. So few data and so short a training make differences visible: with ten times as many sentences most of these models
translate well. Test sentences have up to 16 words, as in training.
""")
code("""
predict(
    "Which score will have the highest perplexity, that is, be the worst?",
    ["additive", "dot", "scaled dot", "plain cosine", "cosine with a learnt strength", "location"],
    answer="plain cosine",
    because="It cannot be sharp, however long it trains: every context is a mixture of many words.",
)
""", fold=True)
code("""
NAMES = {"additive": "additive", "cosine_strength": "cosine, learnt strength", "location": "location", "dot": "dot",
         "general": "general", "scaled_dot": "scaled dot", "cosine": "plain cosine"}


def found(model, what, split="trained lengths"):
    return scoreboard.values(what, notebook="08", model=model, task="low-data", split=split)  # one value per seed


print(f"{'score':24} parameters  perplexity    AER   BLEU  largest weight  CPU s")
for model, name in NAMES.items():
    means = (fmean(found(model, what)) for what in ("perplexity", "aer", "bleu", "largest"))
    rows = scoreboard.rows(notebook="08", model=model, task="low-data", split="valid")
    seconds = fmean(row["cpu_seconds"] for row in rows)
    own = PLUGS[model].parameters(recipes.WIDTH, 1, None, **PLUGS[model].settings)
    print("{:24} {:10,}  {:10.2f} {:6.2f} {:6.1f} {:15.2f} {:6.0f}".format(name, own, *means, seconds))
""")
code("""
plots.show(
    plots.bars_with_seeds({name: found(model, "perplexity") for model, name in NAMES.items()}, score="perplexity",
                          limit=None, title="3-16 words: mean of three seeds, each seed a dot"),
    alt="Perplexity of seven scores, three seeds each: the plain cosine is far above all others, the scaled dot product "
        "above the dot product, additive and cosine with a learnt strength are lowest.",
)
""", fold=True)
code("""
perplexity = {name: found(model, "perplexity") for model, name in NAMES.items()}
for sentence, condition in (
    ("The plain cosine is the worst", "plain cosine > scaled dot"),
    ("One learnt number repairs it", "cosine, learnt strength < plain cosine"),
    ("and then it cannot be told apart from the additive score", "cosine, learnt strength ~ additive"),
    ("A hidden layer over query and key is better than a bare product", "additive < dot"),
    ("√d makes the dot product worse here", "scaled dot > dot"),
):
    claim(sentence, perplexity, condition)
""", fold=True)
md(r"""
The two best rows have nothing in common but one thing: they can be sharp from the beginning. One has 32,896 parameters of
its own, the other has *one*. The two worst rows are flat from the beginning. The plain cosine gives its best word an eighth of the weight,
and no training can change that. The scaled dot product could become sharp, by making its vectors longer, but it has not got far enough in 500 updates. **The
temperature matters more than the form.**

This is one small task and one short training, so the ranking should not be taken home, but the reason may be. Britz and others (2017), on real data,
found the same two kinds equally good up to 512 units, and the unscaled product broken at 1,024, where $\sqrt d$ would have helped.
""")
md(r"""
## 6 · Location: good words, bad map · 6 min

One row of the table is strange. The location score never looks at a source word, and yet it comes close to the best in perplexity. Look at its
AER. Here is that model once more, trained while you read this, with its map of a sentence in which French moves a pronoun.
""")
code("""
settings = dict(model="location", lr=recipes.RATES["location"], steps=recipes.STEPS, splits=("trained lengths",))
experiment = recipes.translating(0, **settings)
blind = experiment.model
_ = training.train(blind, experiment.batches, **experiment.training)
here = experiment.splits["trained lengths"](blind, None)["perplexity"]
stored = found("location", "perplexity")
claim("The model trained here is like those of the table", {"here": here},
      f"{min(stored) - 0.3:.2f} < here < {max(stored) + 0.3:.2f}")
""", loose=True)
code("""
evening = next(pair for pair in mini.load_test_buckets()["8-11"]
               if "does not see her in the evening" in detokenise(pair.source))
(weights,) = metrics.forced_attention(blind, [evening], english, french)
plots.show(
    plots.alignment_map(evening.source, evening.target, weights, evening.sure, evening.possible, title="location"),
    alt="Map of the location score over he does not see her in the evening: weights near the diagonal, spread over "
        "neighbours, often outside the framed gold links.",
)
""", fold=True, loose=True)
code("""
aer = {name: found(model, "aer") for model, name in NAMES.items()}
claim("In perplexity location does better than the scaled dot product", perplexity, "location < scaled dot")
claim("Its alignment error is more than twice that of the additive score",
      {"location": aer["location"], "twice additive": [2 * x for x in aer["additive"]]}, "location > twice additive")
""", fold=True)
md(r"""
How can it translate without looking? Short English and French sentences run side by side, so a query that has counted the words
written so far knows about where to look; and the states of a bidirectional encoder know their neighbours, so that about is often good
enough. A good perplexity does not show that a model looks where we think. If you want to know where it looks, measure that. **We now know** that a
score that can be sharp matters more than its formula, and that words and maps must be judged apart.
""")
