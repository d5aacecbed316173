"""The helper package of the course: one attention socket, one sequence-to-sequence contract.

Floors, from the ground up (a file imports only from below): corpora and text; attention (every plug) and layers;
seq2seq (every translator) and models; training, metrics, scoreboard and proofs; plots, experiments (what one
notebook alone needs), widgets and teaching, exercises.

Importing the package sets one torch thread: on a busy laptop two threads train several times slower than one.
`torch.set_num_threads(n)` afterwards changes it.
"""

import contextlib
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

with contextlib.suppress(ImportError, OSError):  # without torch course_utils.check_environment must still say so
    import torch

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
