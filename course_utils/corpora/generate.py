"""Write the generated corpus: `python -m course_utils.corpora.generate`, or `--check` it against what lies on disk.

Also brings the table of counts and check sums in data/README.md up to date. The grammar is frozen: change it, and every
score of the course is stale (corpus_hash says so).
"""

import argparse
import hashlib
import random
import sys
from collections import Counter
from pathlib import Path

from course_utils.corpora.grammar import Sample, sample
from course_utils.corpora.mini import COLUMNS, SPLITS, folder, write_line

SEED = 20140901                                          # the month attention came to translation
MIN_COUNT = 5                                            # every form outside train comes this often in train
HELD_OUT = tuple(tuple(line.split()) for line in """
red apple, old book, small dog, big house, new car, black cat, happy girl, tired teacher, beautiful queen, young doctor
heavy box, light bag, clean room, long letter, short story, good coffee, hard question, white flower, sad boy
green door, expensive table, open window
see bird, love mother, watch play, buy chair, eat orange, find key, know city, help friend, open box, visit castle
write song, hear dog, take letter, want boat, drink tea, draw horse, meet king, close window, water tree, clean kitchen
give book, show key
""".strip().replace("\n", ", ").split(", "))
ADJECTIVE_NOUN = 22                                      # the first so many; the rest are verb and object


def _spread(total: int, lengths: range) -> dict[int, int]:
    """`total` shared evenly over `lengths`."""
    share, more = divmod(total, len(lengths))
    return {n: share + (k < more) for k, n in enumerate(lengths)}


SIZES: dict[str, dict[int, int]] = {                     # split -> source length (all tokens) -> pairs
    "train": {3: 80, 4: 1000} | _spread(18920, range(5, 17)),
    "valid": {3: 10, 4: 50} | _spread(940, range(5, 17)),
    "test_03_07": {3: 15, 4: 85} | _spread(400, range(5, 8)),
    "test_08_11": _spread(500, range(8, 12)),
    "test_12_16": _spread(500, range(12, 17)),
    "test_17_22": _spread(500, range(17, 23)),
    "test_23_30": _spread(500, range(23, 31)),
    "held_out": _spread(500, range(5, 17)),
}
TRAIN_LOW = 2000                                         # the first lines of train: the only overlap between splits


def _collect(rng: random.Random) -> tuple[dict[int, list[Sample]], dict[int, list[Sample]]]:
    """Enough different sentences of every length, and those with held-out combinations apart."""
    wanted: Counter = Counter()
    for name, sizes in SIZES.items():
        for n, count in sizes.items():
            spare = {"train": 0, "held_out": 6}.get(name, count // 4 + 15)
            wanted[n, name == "held_out"] += count + spare
    wanted[3, False] = sum(sizes.get(3, 0) for sizes in SIZES.values()) + 10
    pools: dict[tuple[int, bool], list[Sample]] = {key: [] for key in sorted(wanted)}
    held, uses, seen = set(HELD_OUT), Counter(), set()
    while True:
        open_keys = [key for key, pool in pools.items() if len(pool) < wanted[key]]
        if not open_keys:
            break
        length, _ = open_keys[int(rng.random() * len(open_keys))]
        made = sample(rng, length + int(rng.random() * (3 if length < 17 else 6)))
        if made is None or made.pair.source in seen:
            continue
        hits = sorted(held & made.combinations)
        key = (len(made.pair.source), bool(hits))
        if len(pools.get(key, ())) >= wanted[key] or any(uses[hit] >= 15 for hit in hits):
            continue
        seen.add(made.pair.source)
        uses.update(hits)
        pools[key].append(made)
    return ({n: pool for (n, is_held), pool in pools.items() if not is_held},
            {n: pool for (n, is_held), pool in pools.items() if is_held})


def _shuffled(rng: random.Random, items: list) -> list:
    return [item for _, item in sorted(((rng.random(), k), item) for k, item in enumerate(items))]


def make_splits() -> dict[str, list[Sample]]:
    """Every split, from the seed alone."""
    rng = random.Random(SEED)
    free, held = _collect(rng)
    free = {n: _shuffled(rng, pool) for n, pool in free.items()}
    splits = {"train": [free[n].pop() for n, count in SIZES["train"].items() for _ in range(count)]}
    counts = Counter(form for made in splits["train"] for side, words in (("en", made.pair.source),
                                                                         ("fr", made.pair.target))
                     for form in {(side, word) for word in words})

    def known(made: Sample) -> bool:
        return all(counts["en", w] >= MIN_COUNT for w in made.pair.source) and \
            all(counts["fr", w] >= MIN_COUNT for w in made.pair.target)

    for pools in (free, held):
        for n in pools:
            pools[n] = [made for made in pools[n] if known(made)]
    for name in SIZES:
        if name != "train":
            pools = held if name == "held_out" else free
            for n, count in SIZES[name].items():
                if len(pools[n]) < count:
                    raise RuntimeError(f"{name}: {len(pools[n])} of {count} sentences of length {n}; collect more")
            splits[name] = [pools[n].pop() for n, count in SIZES[name].items() for _ in range(count)]
    splits = {name: _shuffled(rng, rows) for name, rows in splits.items()}
    splits["train_low"] = splits["train"][:TRAIN_LOW]
    return {name: splits[name] for name in SPLITS}


def make_files() -> dict[str, bytes]:
    """File name -> content."""
    files = {}
    held = set(HELD_OUT)
    uses: Counter = Counter()
    for name, rows in make_splits().items():
        lines = ["\t".join(COLUMNS)]
        for made in rows:
            hits = sorted(held & made.combinations)
            uses.update(hits)
            lines.append(write_line(made.pair, [" ".join(hit) for hit in hits]))
        files[f"{name}.tsv"] = ("\n".join(lines) + "\n").encode()
    table = ["kind\tfirst\tnoun\tsentences"]
    for k, (first, noun) in enumerate(HELD_OUT):
        kind = "adjective-noun" if k < ADJECTIVE_NOUN else "verb-object"
        table.append(f"{kind}\t{first}\t{noun}\t{uses[first, noun]}")
    return files | {"held_out_combinations.tsv": ("\n".join(table) + "\n").encode()}


def readme_table(files: dict[str, bytes]) -> str:
    """The rows of data/README.md between its two marks."""
    rows = ["| file | lines | bytes | SHA-256 |", "|---|---|---|---|"]
    for name, content in files.items():
        rows.append(f"| `mini_en_fr/{name}` | {len(content.splitlines()) - 1:,} | {len(content):,} "
                    f"| `{hashlib.sha256(content).hexdigest()}` |")
    return "\n".join(rows)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare with the files on disk, write nothing")
    check = parser.parse_args(arguments).check
    files, where = make_files(), folder()
    if check:
        wrong = [n for n, content in files.items() if not (where / n).is_file() or (where / n).read_bytes() != content]
        print(f"differs: {', '.join(wrong)}" if wrong else f"{len(files)} files are as generated")
        return 1 if wrong else 0
    where.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (where / name).write_bytes(content)
    _update_readme(where.parent / "README.md", readme_table(files))
    print(f"{len(files)} files written to {where}")
    return 0


def _update_readme(path: Path, table: str) -> None:
    start, end = "<!-- files: written by course_utils.corpora.generate -->", "<!-- end of files -->"
    text = path.read_text(encoding="utf-8") if path.is_file() else f"{start}\n{end}\n"
    before, _, rest = text.partition(start)
    after = rest.partition(end)[2]
    path.write_bytes(f"{before}{start}\n{table}\n{end}{after}".encode())


if __name__ == "__main__":
    sys.exit(main())
