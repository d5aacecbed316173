"""Refusals that every layer shares: one sentence, with the offending value and the remedy."""

from torch import Tensor


def check_widths(**widths: int) -> None:
    """Refuse a layer width that is not a positive whole number."""
    for name, width in widths.items():
        if not isinstance(width, int) or isinstance(width, bool) or width < 1:
            raise ValueError(f"{name} must be a positive whole number, got {width!r}")


def check_equal_widths(query: Tensor, key: Tensor) -> None:
    if query.shape[-1] != key.shape[-1]:
        raise ValueError(
            f"a dot product needs queries and keys of one width, got {query.shape[-1]} and {key.shape[-1]}: "
            f"use the general or the additive score, or project one of them"
        )
