"""How much of a gradient reaches a state some steps back: ||d loss / d state_t|| by distance. Notebook 04.

Hochreiter (1991), Bengio, Simard and Frasconi (1994), Pascanu, Mikolov and Bengio (2013, section 2): the
gradient is a product of one Jacobian a step, so it shrinks or grows about geometrically.
"""

import torch
from torch import Tensor, nn


def state_gradients(rnn: nn.RNNBase, inputs: Tensor, direction: Tensor) -> Tensor:
    """Norms (T,), mean over the batch: entry d is the gradient of `direction` · h_T with respect to the state d steps
    before T.

    rnn: one layer, batch first; inputs (B, T, d_input); direction (d_hidden,), the gradient that arrives at h_T. An
    LSTM's state is (h, c), taken as independent of each other, so the norm is that of both together.
    """
    if rnn.num_layers != 1 or rnn.bidirectional or not rnn.batch_first:
        raise ValueError("state_gradients walks through one layer, in one direction, batch first.")
    state, states = None, []
    for x in inputs.split(1, dim=1):  # (B, 1, d_input)
        _, state = rnn(x, state)
        parts = state if isinstance(state, tuple) else (state,)
        parts = tuple(part.clone() for part in parts)  # of its own: c does not lead to h of the same step any more
        states.append(parts)
        state = parts if isinstance(state, tuple) else parts[0]
    loss = (states[-1][0] * direction).sum()
    every = [part for parts in states for part in parts]
    found = torch.autograd.grad(loss, every, allow_unused=True)  # each (1, B, d_hidden)
    found = [torch.zeros_like(part) if g is None else g for part, g in zip(every, found, strict=True)]
    n = len(states[0])
    norms = [torch.cat(found[i : i + n], dim=-1).norm(dim=-1).mean() for i in range(0, len(found), n)]
    return torch.stack(norms).flip(0)


def scaled_to_radius(matrix: Tensor, radius: float) -> Tensor:
    """`matrix` times the number that makes `radius` its spectral radius, the largest absolute eigenvalue."""
    largest = torch.linalg.eigvals(matrix).abs().max()
    if not largest > 0:
        raise ValueError("every eigenvalue of this matrix is 0: no factor gives it another spectral radius.")
    return matrix * (radius / largest)


def tanh_gradients(W: Tensor, inputs: Tensor, direction: Tensor, linear: bool = False) -> Tensor:
    """As `state_gradients` for h_t = tanh(W h_{t-1} + x_t), without autograd, entry d after d steps back:
    delta_{t-1} = Wᵀ (delta_t ⊙ (1 - h_t²)). `linear` leaves the tanh out. W (H, H), inputs (T, H), direction (H,)."""
    h, slopes = torch.zeros_like(direction), []
    for x in inputs:
        h = W @ h + x
        if not linear:
            h = torch.tanh(h)
        slopes.append(torch.ones_like(h) if linear else 1 - h**2)
    delta, norms = direction, [direction.norm()]
    for slope in reversed(slopes[1:]):
        delta = W.T @ (delta * slope)
        norms.append(delta.norm())
    return torch.stack(norms)
