"""How large are a new model's queries, keys and scores? Notebook 08, section 2."""

from collections.abc import Sequence

import torch

from course_utils.attention.steering import RecordedAttention, plugged
from course_utils.corpora.pair import Pair
from course_utils.seq2seq.contract import Seq2Seq
from course_utils.seq2seq.decoding import device_of, evaluating
from course_utils.text.batches import make_batch
from course_utils.text.vocabulary import Vocabulary


def sizes(
    model: Seq2Seq, pairs: Sequence[Pair], source_vocab: Vocabulary, target_vocab: Vocabulary
) -> dict[str, float]:
    """Over the real words of `pairs` under their right translations: the standard deviation of the entries of queries
    and keys, that of a query's scores over its keys (mean over queries), the mean largest weight, and what it would be
    if all weights were equal."""
    recorded, batch = RecordedAttention(model.attention), make_batch(pairs, source_vocab, target_vocab)
    batch = batch.to(device_of(model))
    with evaluating(model), plugged(model, recorded):
        model(batch.source, batch.target_in)
    record, keys, queries = recorded.records[0], batch.source_mask, batch.target_mask
    several = queries & (keys.sum(1, keepdim=True) > 1)
    spread = torch.stack([row[real].std() for b, real in enumerate(keys) for row in record.scores[b][several[b]]])
    return {
        "query": float(record.query[queries].std()), "key": float(record.key[keys].std()),
        "scores": float(spread.mean()),
        "largest": float(record.weights.amax(-1)[queries].mean()),
        "equal": float((1 / keys.sum(1, keepdim=True)).expand_as(queries)[queries].mean()),
    }  # fmt: skip
