"""Pictures, as pure functions from data to a matplotlib Figure: no state, no widgets.

`style` holds colours, sizes and `show`; `curves` measurements; `attention` maps and decoding steps; `translation` the
fixed context and marked sentences. A notebook writes `from course_utils import plots` and `plots.show(figure, alt)`.
"""

from course_utils.plots.attention import STAGES, AttentionStep, alignment_map, attention_step
from course_utils.plots.buckets import plane_buckets
from course_utils.plots.curves import bars_with_seeds, capacity_curve, length_curve, loss_curve, steering_bars
from course_utils.plots.embeddings import cosine_bars, task_shapes, window_step, word_map
from course_utils.plots.gates import UnitTrace, forgetting, gate_strips, lstm_unit, memory_lines
from course_utils.plots.gradients import cliff, gradient_by_distance, next_symbols
from course_utils.plots.heads import digit_as_set, head_costs, head_maps, head_view, split_frame
from course_utils.plots.kernels import error_curves, square_maps
from course_utils.plots.steering import Steered, steering
from course_utils.plots.style import new_figure, show, styled, to_png
from course_utils.plots.surface import Surface, surface_with_paths
from course_utils.plots.tagging import Memory, label_shares, memory_strip
from course_utils.plots.translation import Unrolled, mark_words, marked_translation, seq2seq_unrolled

__all__ = [
    "STAGES",
    "AttentionStep",
    "Memory",
    "Steered",
    "Surface",
    "UnitTrace",
    "Unrolled",
    "alignment_map",
    "attention_step",
    "bars_with_seeds",
    "capacity_curve",
    "cliff",
    "cosine_bars",
    "digit_as_set",
    "error_curves",
    "forgetting",
    "gate_strips",
    "gradient_by_distance",
    "head_costs",
    "head_maps",
    "head_view",
    "label_shares",
    "length_curve",
    "loss_curve",
    "lstm_unit",
    "mark_words",
    "marked_translation",
    "memory_lines",
    "memory_strip",
    "new_figure",
    "next_symbols",
    "plane_buckets",
    "seq2seq_unrolled",
    "show",
    "split_frame",
    "square_maps",
    "steering",
    "steering_bars",
    "styled",
    "surface_with_paths",
    "task_shapes",
    "to_png",
    "window_step",
    "word_map",
]
