"""How large are a new model's queries, keys and scores (notebook 08, section 3), and what do its attention and its
training step cost (section 5)?"""

import time
from collections.abc import Mapping, Sequence
from statistics import median

import torch

from course_utils.attention.steering import RecordedAttention, plugged
from course_utils.corpora.pair import Pair
from course_utils.seq2seq.contract import Seq2Seq
from course_utils.seq2seq.decoding import device_of, evaluating
from course_utils.text.batches import Batch, make_batch
from course_utils.text.vocabulary import Vocabulary
from course_utils.training import token_loss


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


def costs(models: Mapping[str, Seq2Seq], batch: Batch, rounds: int = 9) -> dict[str, tuple[float, float]]:
    """CPU milliseconds of each model's attention alone, and of its training step without the update, each forward and
    backward: medians over `rounds`. The models take turns, so that a busy moment of the machine meets all of them."""
    if rounds < 1:
        raise ValueError(f"rounds={rounds} must be 1 or more, for instance 9")
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in models}
    for _ in range(rounds):
        for name, model in models.items():
            spent[name].append(_once(model, batch))
    return {name: tuple(median(column) for column in zip(*times, strict=True)) for name, times in spent.items()}


def _once(model: Seq2Seq, batch: Batch) -> tuple[float, float]:
    memory = model.encode(batch.source)
    keys = memory.annotations.detach()  # (B, S, H)
    queries = keys.new_ones(*batch.target_in.shape, keys.shape[-1]).requires_grad_()  # (B, T, H)
    start = time.process_time()
    model.attention(queries, keys, keys, key_mask=memory.mask)[0].sum().backward()
    middle = time.process_time()
    token_loss(model(batch.source, batch.target_in), batch.target_out).backward()
    end = time.process_time()
    model.zero_grad()
    return 1000 * (middle - start), 1000 * (end - middle)
