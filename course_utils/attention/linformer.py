"""Linformer: keys and values are mixed along the sentence into k learnt mixtures. Notebook 22; Wang et al. 2020.

    C = softmax(Q (E K)ᵀ / sqrt(d)) (F V)      E, F (k, longest), learnt      eq. 7

It does not select k keys: each of the k rows of E K is a weighted sum over all of them, future ones too, so it cannot
be causal; and since E and F have a column for each place, there is a longest sentence. Pads are set to zero before they
are mixed. One E (and F) serves all heads of a layer.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.attention.socket import Positions, check_socket, places
from course_utils.checks import check_equal_widths, check_widths


class LinformerAttention(nn.Module):
    """`shared`: F is E (the paper's key-value sharing). Weights asked for are those of the values: softmax(...) F,
    which may be negative and need not sum to 1; context == weights @ value."""

    def __init__(self, max_length: int, k: int = 64, shared: bool = False) -> None:
        super().__init__()
        check_widths(max_length=max_length, k=k)
        self.E = nn.Parameter(nn.init.xavier_uniform_(torch.empty(k, max_length)))
        self.F = self.E if shared else nn.Parameter(nn.init.xavier_uniform_(torch.empty(k, max_length)))

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, *, key_mask: Tensor | None = None, causal: bool = False,
        mask: Tensor | None = None, positions: Positions | None = None, need_weights: bool = False, state: None = None,
    ) -> tuple[Tensor, Tensor | None, None]:
        check_socket(query, key, value, key_mask, mask, positions)
        check_equal_widths(query, key)
        if causal or mask is not None:
            raise ValueError(
                f"Linformer cannot be {'causal' if causal else 'given a mask of pairs'}: every mixture holds all keys, "
                f"later ones too; use a key_mask only, or another attention"
            )
        where = span((positions or places(1, key.shape[-2], key.device))[1], self.E.shape[1])
        E, F_ = self.E[:, where], self.F[:, where]                        # (k, S)
        if key_mask is not None:
            pads = ~key_mask.view(len(key_mask), *[1] * (key.ndim - 3), -1, 1)
            key, value = key.masked_fill(pads, 0.0), value.masked_fill(pads, 0.0)
        keys, values = mixed(E, key), mixed(F_, value)                    # (B, ..., k, d)
        if not need_weights:
            return F.scaled_dot_product_attention(query, keys, values), None, None
        shares = (query * query.shape[-1] ** -0.5 @ keys.transpose(-2, -1)).softmax(-1)      # (B, ..., T, k)
        weights = shares @ (F_ if key_mask is None else F_ * ~pads.transpose(-2, -1))        # (B, ..., T, S)
        return shares @ values, weights, None


def span(where: Tensor, longest: int) -> slice:
    """Consecutive places (S,) as a slice of a table made for `longest` of them."""
    if bool((where.diff() != 1).any()):
        raise ValueError("this attention has a table of places: words must stand at consecutive ones, in order")
    first, last = int(where[0]), int(where[-1])
    if last >= longest:
        raise ValueError(
            f"a word stands at place {last}, and the table of places ends before max_length={longest}: "
            f"shorten the sentence or build the plug with a longer one"
        )
    return slice(first, last + 1)


def mixed(mixtures: Tensor, x: Tensor) -> Tensor:
    """(k, S), (B, ..., S, d) -> (B, ..., k, d), one product for all heads of a row."""
    flat = x.movedim(-2, 1).flatten(2)                                    # (B, S, ... d), no copy in a layer's layout
    return (mixtures @ flat).unflatten(-1, (*x.shape[1:-2], x.shape[-1])).movedim(1, -2)
