"""A real sentence for notebook 13: how a Transformer that somebody else trained tells the two meanings of *bank* apart.

The model is all-MiniLM-L6-v2 (models/pretrained_transformer.py), which comes with an optional package. What the
notebook shows of it is stored in data/bank_in_context.json, so that no class depends on the package; with the package,
`python -m course_utils.experiments.nb13.real_sentence` measures it again and writes the file.
"""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.data_files import data_folder, missing
from course_utils.models.pretrained_transformer import PretrainedEncoder, pretrained_encoder

FILE = "bank_in_context.json"
SHOWN = ("the river flooded the bank", "the bank lent money")  # sentences whose maps are stored
WATER = (
    "the river flooded the bank", "we sat on the bank of the river", "the boat reached the other bank",
    "reeds grow along the muddy bank", "she swam across to the far bank", "the stream had washed away its bank",
    "they tied the canoe to a tree on the bank", "the ducks slept on the grassy bank",
    "fishermen stood on the bank all morning", "from the bank you could see fish in the water",
    "the bank was steep and covered with moss", "an otter climbed up the bank with its catch",
    "the path follows the bank as far as the mill", "willows hang over the bank",
    "the ferry waits at the opposite bank", "children threw stones from the bank into the stream",
    "a heron landed on the left bank", "the tide left shells along the bank",
    "mist rose from the bank at dawn", "the bank had crumbled after the heavy rain",
)  # fmt: skip
MONEY = (
    "the bank lent money", "he put his savings in the bank", "the bank closed my account",
    "she works as a clerk at the bank", "the bank raised its interest rates", "they robbed a bank in the city",
    "my bank charges a fee for every payment", "the company owes the bank two million",
    "ask your bank for a new card", "the bank refused to give him a loan",
    "the central bank lowered the rate again", "we opened a bank together with two partners",
    "his bank sent the statement too late", "the bank has branches in forty countries",
    "a bank must check who its customers are", "she transferred the rent from her bank",
    "the bank made a profit last year", "the crisis began when a large bank failed",
    "the manager of the bank signed the contract", "you can change dollars at any bank",
)  # fmt: skip


class RealSentences(NamedTuple):
    """What is stored: maps of the first block, and how often the nearest *bank* has the same meaning."""

    pieces: Mapping[str, list[str]]  # sentence -> its T pieces
    maps: Mapping[str, Tensor]  # sentence -> (H, T, T), a row is the piece that looks
    own: list[float]  # by block, 0 is before the first: with the model's own weights
    equal: list[float]  # the same with equal weights in every head
    sentences: int


def load_real_sentences() -> RealSentences:
    """The stored figures, from data/ or the folder that COURSE_DATA names. FileNotFoundError if they are not there."""
    path = data_folder() / FILE
    if not path.is_file():
        raise FileNotFoundError(missing(path))
    found = json.loads(path.read_text(encoding="utf-8"))
    maps = {sentence: torch.tensor(rows) for sentence, rows in found["maps"].items()}
    return RealSentences(found["pieces"], maps, found["own"], found["equal"], len(WATER) + len(MONEY))


def measure(model: PretrainedEncoder) -> dict[str, Any]:
    """Everything that is stored, as JSON can hold it."""
    maps = {sentence: model.maps(model.cut(sentence))[0] for sentence in SHOWN}  # (H, T, T)
    return {
        "pieces": {sentence: model.cut(sentence) for sentence in SHOWN},
        "maps": {sentence: [[[round(a, 3) for a in row] for row in head] for head in found.tolist()]
                 for sentence, found in maps.items()},
        "own": same_meaning(model),
        "equal": same_meaning(model, equal=True),
    }  # fmt: skip


@torch.no_grad()
def same_meaning(model: PretrainedEncoder, equal: bool = False) -> list[float]:
    """For the input and after each block: the share of sentences whose nearest other *bank* (by cosine, the mean taken
    away) has the same meaning. `equal`: all queries are set to 0, so that every word looks evenly at all."""
    found = torch.stack([_banks(model, sentence, equal) for sentence in (*WATER, *MONEY)], 1)  # (L + 1, N, D)
    meaning = torch.arange(found.shape[1]) < len(WATER)
    vectors = F.normalize(found - found.mean(1, keepdim=True), dim=-1)
    alike = vectors @ vectors.transpose(1, 2)
    alike.diagonal(dim1=1, dim2=2).fill_(-2)
    return (meaning[alike.argmax(-1)] == meaning).float().mean(1).tolist()


def _banks(model: PretrainedEncoder, sentence: str, equal: bool) -> Tensor:
    """The vector of *bank* before and after every block, (L + 1, D)."""
    pieces = model.cut(sentence)
    x, place = model.embed(pieces), pieces.index("bank")
    found = [x[0, place]]
    for block in model.blocks:
        h = block.residuals[0].before(x)
        q, k, v = block.attention.project(h, "qkv")
        change = block.attention.attend(q * 0 if equal else q, (k, v))[0]
        x = block.residuals[0].after(x, change)
        x = block.residuals[1].after(x, block.feed_forward(block.residuals[1].before(x)))
        found.append(x[0, place])
    return torch.stack(found)


if __name__ == "__main__":
    text = json.dumps(measure(pretrained_encoder()), ensure_ascii=False)
    (data_folder() / FILE).write_text(text.replace('], "', '],\n"') + "\n", encoding="utf-8", newline="\n")
