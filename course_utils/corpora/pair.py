"""A sentence pair, and what is known about it. Every corpus of the course, generated or real, is a list of these."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Agreement:
    """A verb and its subject in the source sentence, by token index; `attractors` are the nouns of the other
    number that stand between them."""

    subject: int
    verb: int
    attractors: tuple[int, ...] = ()

    @property
    def distance(self) -> int:
        """Tokens from subject to verb; negative where the verb comes first (questions)."""
        return self.verb - self.subject


@dataclass(frozen=True, slots=True)
class Pair:
    """`source` and `target` are tokens; a corpus without annotation leaves the rest empty.

    Links are (source index, target index), 0-based; `possible` contains `sure` (Och and Ney 2003).
    """

    source: tuple[str, ...]
    target: tuple[str, ...]
    source_tags: tuple[str, ...] = ()
    target_tags: tuple[str, ...] = ()
    sure: frozenset[tuple[int, int]] = frozenset()
    possible: frozenset[tuple[int, int]] = frozenset()
    agreements: tuple[Agreement, ...] = ()
