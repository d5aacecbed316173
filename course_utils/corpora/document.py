"""A document with its class, and where the evidence for the class stands, as far as that is known. Notebook 11."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Document:
    """`sentences` are tuples of words; `label` is the number of the class; `group` is what may not be torn apart by a
    split (a play). `gold` names the sentence that decides and the words in it that do; None where nobody knows."""

    sentences: tuple[tuple[str, ...], ...]
    label: int
    group: str = ""
    gold: tuple[int, tuple[int, ...]] | None = None
