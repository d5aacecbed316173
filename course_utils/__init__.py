"""The helper package of the course: one attention socket, one sequence-to-sequence contract.

Floors, from the ground up (a file imports only from below): corpora and text; layers; models; training,
decoding, metrics, scoreboard and proofs; plots, widgets and exercises.

Importing the package sets one torch thread: on a busy laptop two threads train several times slower than one.
`torch.set_num_threads(n)` afterwards changes it.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch  # noqa: E402

torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
