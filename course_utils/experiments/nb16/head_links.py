"""A word alignment from every cross-attention head of a Transformer. Notebook 16.

The contract's attention is a mean over heads, and a mean says little where each head does a work of its own. Here each
head is read by itself, under the right translation (teacher forcing): one link a target word, to the source word with
the largest weight. Which head to believe must be chosen on other sentences than those it is judged by.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from course_utils.corpora.pair import Pair
from course_utils.seq2seq.transformer import Transformer
from course_utils.text.batches import Batches
from course_utils.text.vocabulary import Vocabulary


def head_maps(
    model: Transformer, pairs: Sequence[Pair], source_vocab: Vocabulary, target_vocab: Vocabulary,
    batch_size: int = 256,
) -> list[Tensor]:
    """Cross-attention of each pair: (layers, heads, target words, source words); the row of END is left out.

    The model is used in the mode it is in: after training that is evaluation.
    """
    found: list[Tensor] = [torch.empty(0)] * len(pairs)
    for batch in Batches(pairs, source_vocab, target_vocab, batch_size).once():
        cross = model.maps(batch.source, batch.target_in).cross           # (L, B, H, T, S)
        for row, maps in zip(batch.index, cross.unbind(1), strict=True):
            found[row] = maps[:, :, : len(pairs[row].target), : len(pairs[row].source)]
    return found


def head_links(
    model: Transformer, pairs: Sequence[Pair], source_vocab: Vocabulary, target_vocab: Vocabulary,
    batch_size: int = 256,
) -> dict[tuple[int, int], list[set[tuple[int, int]]]]:
    """(layer, head), both from 0 -> for each pair its links (source index, target index)."""
    best = [maps.argmax(-1).tolist() for maps in head_maps(model, pairs, source_vocab, target_vocab, batch_size)]
    heads = [(i, h) for i in range(len(model.decoder)) for h in range(model.hparams["n_heads"])]
    return {(i, h): [{(s, t) for t, s in enumerate(maps[i][h])} for maps in best] for i, h in heads}
