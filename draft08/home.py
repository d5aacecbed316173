md(r"""
# At home

Nothing later in the course depends on these sections.

## Concat, and its missing tanh

Luong lists a fourth score that looks at the key, **concat**: $v \cdot \tanh(W [s; h_j])$. If we cut $W$ into the columns that meet $s$
and those that meet $h_j$, it reads $v \cdot \tanh(W_1 s + W_2 h_j)$. That is the additive score under another name.
""")
code("""
additive, concat = PACKAGE["additive"][0], ConcatScore(2, 2, 2).double()
_ = concat.load_state_dict({"W.weight": torch.cat([W_add, U], 1), "v": v})
difference = concat(s.view(1, 1, 2), h[None]) - additive(s.view(1, 1, 2), h[None])
claim("Concat is the additive score", {"largest difference": float(difference.detach().abs().max())},
      "largest difference < 1e-12")
""")
md(r"""
Luong reports a bad result for it (perplexity 6.7 with global attention, against 6.1 for the dot product), and names a likely
reason himself, in footnote 15: in his program the part of $W$ that meets $h_j$ was fixed to the identity. What ran was
$v \cdot \tanh(W s + h_j)$. We have trained that score as well; its result stands in the next section.

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
<details><summary>Hint 1</summary>Print the weights of two queries. What do you see, and which part of the score can the softmax not
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

TensorFlow offered a variant that has no paper of its own: the additive score in which the *length* of $v$ is a parameter $g$
of its own, with a bias besides, $g\,\frac{v}{|v|} \cdot \tanh(W s + U h_j + b)$. This is weight normalisation (Salimans and Kingma
2016), and $g$ is a key strength once more. It starts at $\sqrt{1/d}$, so that the weights of a new model are nearly equal.
""")
code("""
show_source(NormedScore.compare, docstrings=False, doors=False)
normed = NormedScore(2, 2, 2).double()
_ = normed.load_state_dict({"W.weight": W_add, "U.weight": U, "v": 3 * v, "g": v.norm(), "b": torch.zeros(2)})
difference = normed(s.view(1, 1, 2), h[None]) - additive(s.view(1, 1, 2), h[None])
claim("With g = |v| and b = 0 it is the additive score",
      {"largest difference": float(difference.detach().abs().max())}, "largest difference < 1e-12")
""")
exec(compile((ROOT / "draft08/others.py").read_text(), "others", "exec"))

md(r"""
## Attention without keys

**Exercise 08.5 · ●●○○○ · 8 min · at home** - attention without keys

Write `my_location(queries, W, n_words)`, the weights of the location score: `queries` (B, T, D), `W` (P, D) has a row for each of
the first P positions, `n_words` is the length S of the sentence, the same for the whole batch. Return (B, T, S), rows that sum to 1. Where
S < P use the first S positions; where S > P the words beyond get weight 0.
""")
code("""
def my_location(queries, W, n_words):
    return ...


ex08.check_08_5(my_location)
""")
md(r"""
<details><summary>Hint 1</summary><code>queries @ W.T</code> are the scores of all P positions. Which of them does this sentence
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

So far $h_j$ has done two jobs: it was compared with the query, and it was what the decoder received. With two matrices each
job has a vector of its own, $k_j = W_K h_j$ and $v_j = W_V h_j$. A state can then be *found* by one feature and *report* another
(Miller and others 2016; Daniluk and others 2017).
""")
code("""
show_source(KeyValueAttention.forward, docstrings=False, doors=False)
keys, values = h[None], torch.tensor([[[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]]).double()
attend, query = DenseAttention(DotScore()), s.view(1, 1, 2)
context, weights, _ = attend(query, keys, values, need_weights=True)
other, same_weights, _ = attend(query, keys, values[:, order], need_weights=True)
claim("With the values in another order the weights are the same",
      {"change": float((weights - same_weights).abs().max())}, "change < 1e-12")
claim("but the context is another one", {"change": float((context - other).abs().max())}, "change > 0.1")
""")
md(r"""
TensorFlow's Luong attention compared the query with transformed states and summed the untransformed ones, so there keys and
values differed as well, without a word about it. From notebook 13 on, every layer has three matrices, for queries, keys and values.

## A softmax for large scores

A score without a limit can become very large, and then a softmax written down literally fails.

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
<details><summary>Hint 1</summary>What is e to the power of 200? And what changes if the same number is subtracted from every
score of a row?</details>

<details><summary>Hint 2</summary>Subtract the largest score of the row, but of its real words only.</details>
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
## A map of what is still to come

**Three kinds of attention**, by where query and keys come from. *Between two sequences*, X → Y: notebooks 07 to 10, 12 and 16. *Over one
sequence with a learnt query*, which sums it up: notebook 11. *Within one sequence*, where every word asks every word: from
notebook 13 on.

**The survey's four axes.** Chaudhari and others (2021) sort the literature by four questions, and this course meets nearly all of the answers:

| axis | answers | where in this course |
|---|---|---|
| How many sequences? | two (X → Y), two that attend to each other (co-attention), one (self-attention) | 07-12; not here; from 13 on |
| How many levels of abstraction? | one, several | 11 (words and sentences) |
| Which positions are looked at? | all softly, one, a window | 09, 20, 21 |
| How many representations? | one, several | 14 (heads) |

Another survey (Galassi, Lippi and Torroni 2021) also has four: how the input is represented, the *compatibility function* (the subject of this
notebook), the *distribution function* (softmax or something else, as in notebook 09), and the number of inputs and outputs. If somebody
speaks of "the four axes", ask which survey is meant.
""")
exec(compile((ROOT / "draft08/measured.py").read_text(), "measured", "exec"))
md(r"""
## What came after

- **Scaled dot products won** because one matrix product computes all scores at once, and a fused kernel never has to store
  them (notebooks 13 and 16). An additive score needs a hidden layer for every pair of words.
- **Query-key normalisation** (Henry and others 2020) is the cosine with a learnt strength, put into the Transformer. Several large
  models of today (ViT-22B, Gemma 3, Qwen 3) normalise queries and keys in a similar way, so that their scores cannot grow without limit.
- **Scores that grow with the length of the text.** With more words the same scores give flatter weights (section 2). Chiang and
  Cholak (2022) therefore multiply the scores by $\log n$, and some models for long texts change the temperature with the position.

## Often said, and wrong

- *"Bahdanau's attention is local and looks at one state per step, Luong's is global."* Bahdanau's looks at all states at every
  step. What is local is another proposal of Luong's, a window (notebook 09).
- *"Dot-product attention has parameters."* Only what surrounds it has. But some libraries call *dot* what first sends the keys through
  a matrix, and that is the general score.
- *"√d makes attention better."* It gives the scores a suitable size if the entries have variance 1. It belongs to the
  initial weights, not to the idea.
- *"Concat is worse than dot."* Luong's table says so, about a program in which half of its matrix was the identity.
- *"A bias in the key's matrix helps."* In a product it adds the same number to all scores of a query, and the softmax takes
  it away again. Its gradient is zero.

## Questions to think about

1. In the *general* score, does it matter whether $W$ is applied to the query or to the key?
2. In a sentence of one word, which gradient does the score get?
3. The location score knows only the query. How can it know that the French word order turns around?

<details><summary>Answers</summary>

1. Not for the numbers: $s \cdot W h = W^\top s \cdot h$. It does for the work: the keys are projected once per sentence, a query
   for every word.
2. None. The weight of the only word is 1, whatever its score is.
3. From the words written so far, which the decoder's state has read. After *pomme* a state may have learnt that the next word
   often stands one position back. It cannot know whether there *is* an adjective.
</details>

## Where we differ from the paper

- `AttentiveSeq2Seq` has Luong's step with a GRU of one layer and a bidirectional encoder of half the width in each direction. Luong
  has four LSTM layers in one direction, SGD, and a reversed source. Our table was trained on 2,000 sentence pairs.
- In the drawing of section 4 the output reads the new state. In Bahdanau's decoder it also reads the last word and the context.
- The key strength of Graves and others is chosen by the network for every query, and kept positive; ours is one number for the whole model.
- The location score uses the first S of its rows for a sentence of S words, as in Luong's footnote 6.
- The conditional GRU of Nematus gives the output layer the state after the look; ours gives it the one before.

## Glossary

| English | 中文 | meaning here |
|---|---|---|
| score (compatibility function) | 打分函数、相容性函数 | how well a query agrees with a key, before the softmax |
| dot product | 点积 | sum of the products of the entries |
| cosine similarity | 余弦相似度 | dot product of the two vectors brought to length 1 |
| bilinear (general) score | 双线性打分 | a learnt matrix between query and key |
| additive score | 加性打分 | a hidden layer over query and key |
| location score | 基于位置的打分 | from the query alone, one score per position |
| key strength, temperature | 键强度、温度 | a factor before the softmax; the temperature is one over it |
| input feeding | 输入反馈 | the attentional vector enters the next step |
| attentional vector | 注意力向量 | tanh(W [s; C]), from which Luong's decoder makes its word |
| perplexity | 困惑度 | e to the power of the mean loss per token |
| alignment error rate | 对齐错误率 | how far a map is from the gold alignment; 0 is perfect |

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
- Chiang, Cholak. *Overcoming a Theoretical Limitation of Self-Attention.* ACL 2022.
- Chaudhari and others. *An Attentive Survey of Attention Models.* ACM TIST 2021.
- Galassi, Lippi, Torroni. *Attention in Natural Language Processing.* IEEE TNNLS 2021.

## Next

So far every query looks at every word, softly. Must it? Notebook 09 looks through a window, chooses one word alone, and learns to
read forwards only.
""")
