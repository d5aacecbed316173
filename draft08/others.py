md(r"""
## The other rows of the table

We trained these scores in the same way, each with its own learning rate and from three seeds: the normed additive score, concat as it was
run, and the general score with keys and values apart (which the section "Key ≠ value" explains). Four decoders follow, of which the
first is the decoder of the table with the general score.
""")
code("""
MORE = {"additive": "additive", "normed": "normed", "concat_as_run": "concat as it was run", "general": "general: Luong, nothing fed",
        "key_value": "general, key ≠ value", "input_feeding": "Luong, input feeding", "bahdanau": "Bahdanau",
        "conditional_gru": "conditional GRU"}
print(f"{'':28} parameters   rate  perplexity    AER   BLEU  largest weight")
for model, name in MORE.items():
    means = (fmean(found(what, model)) for what in ("perplexity", "aer", "bleu", "largest"))
    (size,) = {row["parameters"] for row in scoreboard.rows("08", model, "low-data")}
    print("{:28} {:10,}  {:5}  {:10.2f} {:6.2f} {:6.1f} {:15.2f}".format(name, size, recipes.RATES[model], *means))
""", fold=True)
