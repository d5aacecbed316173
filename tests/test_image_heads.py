"""Heads that are a convolution in the limit, on a real digit and on random images of odd shapes."""

import pytest
import torch
import torch.nn.functional as F

from course_utils.corpora.digits import load_split
from course_utils.experiments.nb15.image_heads import (
    convolve_by_heads,
    filter_offsets,
    pixel_places,
    quadratic_encoding,
    shift_heads,
)


def drawn(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def by_conv2d(image, kernel):
    side = kernel.shape[-1] // 2
    return F.conv2d(F.pad(image[None], (side,) * 4, mode="replicate"), kernel)[0]


@pytest.mark.parametrize(("c_in", "c_out", "size"), [(1, 1, 3), (2, 3, 3), (3, 2, 5), (2, 2, 1)])
def test_a_convolution_in_the_limit(c_in, c_out, size):
    image, kernel = drawn(c_in, 6, 7), drawn(c_out, c_in, size, size)
    torch.testing.assert_close(convolve_by_heads(image, kernel, 60.0), by_conv2d(image, kernel))


def test_on_a_digit_the_error_falls_with_alpha():
    digit = load_split("train").pixels[0].double().view(1, 8, 8)
    kernel = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]], dtype=torch.float64).expand(1, 1, 3, 3)
    errors = [(convolve_by_heads(digit, kernel, a) - by_conv2d(digit, kernel)).abs().max() for a in (0, 2, 5, 10, 20)]
    assert errors == sorted(errors, reverse=True) and errors[0] > 1 and errors[-1] < 1e-6


def test_each_head_looks_its_offset_away():
    offsets = filter_offsets(3)
    assert offsets.tolist()[:3] == [[-1, -1], [-1, 0], [-1, 1]] and offsets[4].tolist() == [0, 0]
    weights = shift_heads(5, 4, offsets, 50.0)
    here = 2 * 4 + 1                                                      # row 2, column 1
    for h, (down, right) in enumerate(offsets.tolist()):
        assert weights[h, here].argmax() == (2 + down) * 4 + 1 + right
    torch.testing.assert_close(weights.sum(-1), torch.ones(9, 20, dtype=torch.float64))
    assert weights[0, 0].argmax() == 0                                    # at the border: the nearest there is
    torch.testing.assert_close(shift_heads(2, 3, offsets, 0.0), torch.full((9, 6, 6), 1 / 6, dtype=torch.float64))


def test_the_encoding_is_relative():
    r = quadratic_encoding(pixel_places(3, 4))
    assert r.shape == (12, 12, 3)
    assert r[0, 7].tolist() == [1 + 9, 1, 3] and r[7, 0].tolist() == [10, -1, -3]


def test_refusals():
    for make, says in (
        (lambda: filter_offsets(4), "size must be odd"),
        (lambda: pixel_places(0, 3), "both must be 1 or more"),
        (lambda: shift_heads(2, 2, filter_offsets(1), -1), "alpha=-1"),
        (lambda: convolve_by_heads(drawn(2, 3, 3), drawn(1, 1, 3, 3), 1.0), r"needed are an image"),
    ):
        with pytest.raises(ValueError, match=says):
            make()
