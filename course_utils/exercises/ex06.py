"""Exercises of notebook 06, sequence to sequence with a fixed context. Tasks, hints and solutions stand in the checks'
docstrings, mistakes in the functions above each check; how they become cells: course_utils/exercises/checking.py."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.exercises.checking import (
    Check,
    Hint,
    exercise,
    fresh,
    gallery,
    judge,
    judge_value,
    lengths_mask,
)
from course_utils.text.vocabulary import BEGIN, END, PAD

# --- 06.1 the state at the last real word -----------------------------------------------------------------------------


def _rows(states: Tensor) -> Tensor:
    return torch.arange(len(states))


def last_state(states: Tensor, mask: Tensor) -> Tensor:
    return states[_rows(states), mask.sum(1) - 1]


def last_column(states, mask):
    """This takes the last column, where short sentences have only a pad: each row ends elsewhere."""
    return states[:, -1]


def longest_row(states, mask):
    """This takes one place for the whole batch, where the longest sentence ends: each row needs its own."""
    return states[:, int(mask.sum(1).max()) - 1]


def one_too_far(states, mask):
    """This is one place too far: a sentence of n words ends at place n - 1, counted from 0."""
    return states[_rows(states), mask.sum(1).clamp(max=states.shape[1] - 1)]


def counts_pads(states, mask):
    """This counts the pads: True in the mask means a real word."""
    return states[_rows(states), (~mask).sum(1) - 1]


def mean_of_real(states, mask):
    """This is the mean of the real states; C is the last one alone."""
    return (states * mask.unsqueeze(-1)).sum(1) / mask.sum(1, keepdim=True)


def all_pairs(states, mask):
    """This takes every row's place in every row, so its result has one dimension too many: index rows and columns
    together, with torch.arange(len(states)) for the rows."""
    return states[:, mask.sum(1) - 1]


def masked_last_column(states, mask):
    """This sets pads to zero and then takes the last column, so short sentences end in zeros."""
    return (states * mask.unsqueeze(-1))[:, -1]


MISTAKES_1 = [last_column, longest_row, one_too_far, counts_pads, mean_of_real, all_pairs, masked_last_column]


@exercise("06.1", "each sentence hands over its own last state, however many pads follow.")
def check_06_1(answer):
    """**Exercise 06.1 · ●●○○○ · 8 min** - the state at the last real word

    Write `last_real_state(states, mask)`: from the encoder's states at every place, the one at each sentence's last
    real word. `states` (B, S, D) float, `mask` (B, S) bool, True = a real word; pads stand at the end. Returns (B, D).

    Hint 1: how many real words has each row? At which place, counted from 0, is the last of them?
    Hint 2: `states[rows, columns]` with two index tensors of length B takes one place from each row.
    Solution: states[torch.arange(len(states)), mask.sum(1) - 1]
    """
    rng = fresh()
    lengths = [([3, 1, 5, 2], 7), ([4], 4), ([2, 5], 6), ([1, 1, 1], 1), ([6, 6], 8)]
    inputs = [(torch.randn(len(n), width, 4, generator=rng), lengths_mask(n, width)) for n, width in lengths]
    judge(answer, inputs, last_state, MISTAKES_1)


# --- 06.2 what the decoder reads, and what it must say ----------------------------------------------------------------


def shifted(target: Tensor) -> tuple[Tensor, Tensor]:
    n = (target != PAD).sum(1)
    begin = target.new_full((len(target), 1), BEGIN)
    target_out = torch.cat([target, target.new_full((len(target), 1), PAD)], 1)
    target_out[torch.arange(len(target)), n] = END
    return torch.cat([begin, target], 1), target_out


def _column(target: Tensor, token: int) -> Tensor:
    return torch.full_like(target[:, :1], token)


def end_after_the_pads(target):
    """END stands after the pads here; it belongs right after each sentence's last real word."""
    return torch.cat([_column(target, BEGIN), target], 1), torch.cat([target, _column(target, END)], 1)


def no_end(target):
    """There is no END in target_out, so the model would never learn to stop."""
    return torch.cat([_column(target, BEGIN), target], 1), torch.cat([target, _column(target, PAD)], 1)


def not_shifted(target):
    """Both begin with BEGIN here, so the model is asked to say the word it has just read: target_out is one place
    ahead and begins with y1."""
    both = torch.cat([_column(target, BEGIN), target], 1)
    return both, both.clone()


def swapped(target):
    """These are the right two, in the wrong order: first what the decoder reads, then what it must say."""
    return shifted(target)[1], shifted(target)[0]


def end_is_read(target):
    """Cutting the last column of BEGIN y1 … yn END leaves END in target_in of the shorter sentences: the decoder reads
    BEGIN y1 … yn and then pads."""
    whole = torch.cat([_column(target, BEGIN), shifted(target)[1]], 1)
    return whole[:, :-1], whole[:, 1:]


def last_word_lost(target):
    """Here END overwrites each sentence's last word: target_out is one place longer than the target."""
    n = (target != PAD).sum(1)
    target_out = torch.cat([target, _column(target, PAD)], 1)
    target_out[torch.arange(len(target)), n - 1] = END
    return torch.cat([_column(target, BEGIN), target], 1), target_out


MISTAKES_2 = [end_after_the_pads, no_end, not_shifted, swapped, end_is_read, last_word_lost]


@exercise("06.2", "the decoder reads the right past and is asked for the next word, END included.")
def check_06_2(answer):
    """**Exercise 06.2 · ●●●○○ · 12 min** - teacher forcing: shift the target

    Write `shift(target)`: `target` (B, T) long holds the ids of y1 … yn in each row, then PAD (0). Return the pair
    `target_in`, `target_out`, both (B, T + 1) long: what the decoder reads, BEGIN y1 … yn, and what it must say at the
    same places, y1 … yn END; PAD elsewhere. BEGIN is 1, END is 2.

    Hint 1: BEGIN fits with one torch.cat. For END you need each row's length: (target != PAD).sum(1).
    Hint 2: append a column of PAD first, then write END at [row, length].
    Solution: begin = torch.full_like(target[:, :1], BEGIN); out = torch.cat([target, torch.full_like(begin, PAD)], 1);
    out[torch.arange(len(target)), (target != PAD).sum(1)] = END; return torch.cat([begin, target], 1), out
    """
    rng = fresh()
    inputs = []
    for lengths, width in (([3, 1, 4], 4), ([2], 2), ([1, 1], 3), ([5, 2, 1, 5], 6)):
        words = torch.randint(4, 30, (len(lengths), width), generator=rng)
        inputs.append((words * lengths_mask(lengths, width),))
    judge(answer, inputs, shifted, MISTAKES_2)


# --- 06.3 greedy decoding ---------------------------------------------------------------------------------------------


def greedy_words(step, state, begin, end, max_length) -> list[int]:
    words, token = [], begin
    while len(words) < max_length:
        logits, state = step(token, state)
        token = int(logits.argmax())
        if token == end:
            break
        words.append(token)
    return words


def keeps_end(step, state, begin, end, max_length):
    """END is in the list: it says "stop" and is no word of the sentence."""
    words, token = [], begin
    while len(words) < max_length and token != end:
        logits, state = step(token, state)
        token = int(logits.argmax())
        words.append(token)
    return words


def never_stops(step, state, begin, end, max_length):
    """This goes on after END, up to max_length: stop as soon as END is the best word."""
    words, token = [], begin
    for _ in range(max_length):
        logits, state = step(token, state)
        token = int(logits.argmax())
        words.append(token)
    return words


def reads_begin_only(step, state, begin, end, max_length):
    """The model is given BEGIN at every step here: it must read the word it has just written."""
    words = []
    while len(words) < max_length:
        logits, state = step(begin, state)
        token = int(logits.argmax())
        if token == end:
            break
        words.append(token)
    return words


def forgets_the_state(step, state, begin, end, max_length):
    """Each step starts from the first state here: carry on with the state that step returned."""
    words, token = [], begin
    while len(words) < max_length:
        logits, _ = step(token, state)
        token = int(logits.argmax())
        if token == end:
            break
        words.append(token)
    return words


def begins_with_begin(step, state, begin, end, max_length):
    """BEGIN is in the list: the model reads it, but it is no word of the translation."""
    return [begin, *greedy_words(step, state, begin, end, max_length)]


def one_word_short(step, state, begin, end, max_length):
    """The cap is one off: a sentence may have max_length words, no fewer and no more."""
    return greedy_words(step, state, begin, end, max_length - 1)


def takes_the_worst(step, state, begin, end, max_length):
    """This takes the word with the lowest score: greedy takes the highest, argmax."""
    return greedy_words(lambda token, s: (lambda out: (-out[0], out[1]))(step(token, s)), state, begin, end, max_length)


MISTAKES_3 = [
    keeps_end, never_stops, reads_begin_only, forgets_the_state, begins_with_begin, one_word_short, takes_the_worst,
]  # fmt: skip


class Speaker:
    """A decoder made of a table: the scores depend on the word read and on the state, which counts the steps. It says
    END first after `length` words of greedy decoding, and would go on after it."""

    def __init__(self, length: int, rng: torch.Generator, size: int = 12, steps: int = 12):
        self.table = torch.randn(steps, size, size, generator=rng)  # [state, word read] -> scores
        self.table[:, :, [PAD, BEGIN, END]] -= 20.0  # never the best, ...
        self.calls, token = 0, BEGIN
        for k in range(steps):  # ... but for the END after `length` words
            if k == length:
                self.table[k, token, END] = 30.0
            token = int(self.table[k, token].argmax())

    def __call__(self, token, state):
        self.calls += 1
        if self.calls > 400:
            raise Hint("this loop goes on for ever: it must stop at END and after max_length words.")
        token, state = int(token), int(state)
        return self.table[state % len(self.table), token].clone(), state + 1


@exercise("06.3", "it reads its own words, carries its state on, and stops at END or at the cap.")
def check_06_3(answer):
    """**Exercise 06.3 · ●●●○○ · 12 min** - greedy decoding

    Write `greedy(step, state, begin, end, max_length)` for one sentence. `step(token, state)` returns `logits` (V,) for
    the next word and the new state; `begin` and `end` are ids. Return the list of the ids written, without BEGIN and
    END: at each step the best word, until that is END or there are max_length words.

    Hint 1: three things change in the loop: the token that is read, the state, the list.
    Hint 2: token = begin; then repeat: logits, state = step(token, state); token = int(logits.argmax()).
    Solution: words, token = [], begin / while len(words) < max_length: / logits, state = step(token, state) /
    token = int(logits.argmax()) / if token == end: break / words.append(token) / return words
    """
    rng = fresh()
    inputs = [(Speaker(n, rng), 0, BEGIN, END, cap) for n, cap in ((4, 9), (0, 5), (8, 3), (3, 3), (6, 10), (2, 3))]
    judge(answer, inputs, greedy_words, MISTAKES_3)


# --- 06.4 perplexity --------------------------------------------------------------------------------------------------


def token_perplexity(nll_sums, n_tokens) -> float:
    return math.exp(sum(nll_sums) / sum(n_tokens))


def mean_of_batches(nll_sums, n_tokens):
    """This is the mean over batches: a batch of few tokens weighs as much as one of many. Sum first, divide once."""
    return math.exp(sum(s / n for s, n in zip(nll_sums, n_tokens, strict=True)) / len(n_tokens))


def mean_of_perplexities(nll_sums, n_tokens):
    """This averages the perplexities of the batches: the exponential comes last, after the one division."""
    return sum(math.exp(s / n) for s, n in zip(nll_sums, n_tokens, strict=True)) / len(n_tokens)


def no_exponential(nll_sums, n_tokens):
    """This is the mean loss per token in nats; perplexity is its exponential."""
    return sum(nll_sums) / sum(n_tokens)


def by_batches(nll_sums, n_tokens):
    """This divides by the number of batches; perplexity is per token."""
    return math.exp(sum(nll_sums) / len(n_tokens))


def two_to_the(nll_sums, n_tokens):
    """This takes 2 to the power of the loss, but the losses are natural logarithms: use math.exp."""
    return 2 ** (sum(nll_sums) / sum(n_tokens))


def negative_sign(nll_sums, n_tokens):
    """There is a minus too many: the sums are already of -log p, and a perplexity is at least 1."""
    return math.exp(-sum(nll_sums) / sum(n_tokens))


MISTAKES_4 = [mean_of_batches, mean_of_perplexities, no_exponential, by_batches, two_to_the, negative_sign]


@exercise("06.4", "every token counts once, in whichever batch it came.")
def check_06_4(answer):
    """**Exercise 06.4 · ●●○○○ · 6 min** - perplexity from batches

    Write `perplexity(nll_sums, n_tokens)`: two lists with one entry a batch, the sum of -log p (natural logarithm) over
    its real tokens, and their number. Return the perplexity per token over all batches, a float.

    Hint 1: perplexity = exp(mean of -log p over all tokens).
    Hint 2: the mean over all tokens is one sum divided by another; no batch has a mean of its own.
    Solution: math.exp(sum(nll_sums) / sum(n_tokens))
    """
    rng = fresh()
    inputs = [([2.0, 30.0], [4, 6]), ([12.5], [5])]
    for batches in (3, 5):
        counts = torch.randint(1, 40, (batches,), generator=rng).tolist()
        rates = (torch.rand(batches, generator=rng) * 3 + 0.2).tolist()
        inputs.append(([c * r for c, r in zip(counts, rates, strict=True)], counts))
    judge(answer, inputs, token_perplexity, MISTAKES_4)


# --- 06.5 reverse the source ------------------------------------------------------------------------------------------


def reversed_source(source: Tensor) -> Tensor:
    rows = [torch.cat([row[row != PAD].flip(0), row[row == PAD]]) for row in source]
    return torch.stack(rows)


def flips_the_pads(source):
    """The pads have come to the front: reverse the real words only, the pads stay at the end."""
    return source.flip(1)


def flips_the_batch(source):
    """This puts the sentences in reverse order, not the words within each."""
    return source.flip(0)


def flips_both(source):
    """This reverses sentences and words at once: flip(0, 1) turns the whole batch round."""
    return source.flip(0, 1)


def one_length_for_all(source):
    """This reverses as many places in every row as the first sentence has words: each row has a length of its own."""
    n = int((source[0] != PAD).sum())
    return torch.cat([source[:, :n].flip(1), source[:, n:]], 1)


def keeps_the_full_stop(source):
    """The last word has stayed where it was: all real words are reversed, the full stop comes first."""
    rows = []
    for row in source:
        n = int((row != PAD).sum())
        rows.append(torch.cat([row[: n - 1].flip(0), row[n - 1 :]]))
    return torch.stack(rows)


def sorts(source):
    """This sorts by id instead of reversing the order."""
    return torch.stack([torch.cat([row[row != PAD].sort(descending=True).values, row[row == PAD]]) for row in source])


def rolls(source):
    """This only moves the words round by one: the order itself must turn."""
    return torch.stack([torch.cat([row[row != PAD].roll(1), row[row == PAD]]) for row in source])


MISTAKES_5 = [flips_the_pads, flips_the_batch, flips_both, one_length_for_all, keeps_the_full_stop, sorts, rolls]


@exercise("06.5", "the first words now stand close to the first words of the translation.")
def check_06_5(answer):
    """**Exercise 06.5 · ●●●○○ · 10 min** - reverse the source, as Sutskever did

    Write `reverse_source(source)`: `source` (B, S) long, real words then PAD (0). Return the same shape, the real words
    of each row in reverse order (its "." too) and the pads where they were. The argument itself must not change.

    Hint 1: a loop over rows is fine; `row[row != PAD]` are the real words.
    Hint 2: without a loop: place j takes word length - 1 - j where that is not negative, else itself (gather).
    Solution: torch.stack([torch.cat([row[row != PAD].flip(0), row[row == PAD]]) for row in source])
    """
    rng = fresh()
    inputs = []
    for lengths, width in (([3, 5, 2, 4], 6), ([4], 4), ([5, 3], 5), ([1, 2, 6], 7)):
        words = torch.randint(4, 40, (len(lengths), width), generator=rng)
        inputs.append((words * lengths_mask(lengths, width),))
    judge(answer, inputs, reversed_source, MISTAKES_5)


# --- 06.6 repair the loss ---------------------------------------------------------------------------------------------


def masked_loss(logits: Tensor, target_out: Tensor) -> Tensor:
    log_p = logits.log_softmax(-1).gather(-1, target_out.unsqueeze(-1)).squeeze(-1)
    real = target_out != PAD
    return -(log_p * real).sum() / real.sum()


def planted_loss(logits, target_out):
    """Which places does this mean run over? The model is paid for predicting pads, and looks better than it is."""
    return F.cross_entropy(logits.flatten(0, 1), target_out.flatten())


def mean_of_sentences(logits, target_out):
    """This is the mean of the sentences' means: short sentences weigh as much as long ones. One sum, one division."""
    real = target_out != PAD
    losses = F.cross_entropy(logits.transpose(1, 2), target_out, reduction="none") * real
    return (losses.sum(1) / real.sum(1)).mean()


def per_sentence(logits, target_out):
    """This divides by the number of sentences; the loss is per token, so that it compares between lengths."""
    return F.cross_entropy(logits.flatten(0, 1), target_out.flatten(), ignore_index=PAD, reduction="sum") / len(logits)


def masked_but_divided_by_all(logits, target_out):
    """Pads add nothing to the sum here, but they still count in the number it is divided by."""
    losses = F.cross_entropy(logits.transpose(1, 2), target_out, reduction="none")
    return (losses * (target_out != PAD)).mean()


def ignores_end(logits, target_out):
    """END is left out here: the model must learn to stop, only PAD is ignored."""
    log_p = logits.log_softmax(-1).gather(-1, target_out.unsqueeze(-1)).squeeze(-1)
    real = (target_out != PAD) & (target_out != END)
    return -(log_p * real).sum() / real.sum()


def sum_only(logits, target_out):
    """This is the sum over all tokens: divide it by their number."""
    return F.cross_entropy(logits.flatten(0, 1), target_out.flatten(), ignore_index=PAD, reduction="sum")


def softmax_twice(logits, target_out):
    """cross_entropy takes the logits themselves: here they go through a softmax twice."""
    return F.cross_entropy(logits.softmax(-1).flatten(0, 1), target_out.flatten(), ignore_index=PAD)


MISTAKES_6 = [
    planted_loss, mean_of_sentences, per_sentence, masked_but_divided_by_all, ignores_end, sum_only, softmax_twice,
]  # fmt: skip


@exercise("06.6", "pads neither cost nor earn anything, END does.")
def check_06_6(answer):
    """**Exercise 06.6 · ●●○○○ · 8 min** - repair the loss

    The loss of this model looks fine from the first step on, and the model never gets good. `logits` (B, T, V),
    `target_out` (B, T) with PAD (0) after END. Repair `loss(logits, target_out)` so that it is the mean of -log p over
    the real tokens, END included. In the cell at first:

        def loss(logits, target_out):
            return F.cross_entropy(logits.flatten(0, 1), target_out.flatten())

    Hint 1: which places does the mean run over?
    Hint 2: F.cross_entropy has an argument for ids that do not count.
    Solution: F.cross_entropy(logits.flatten(0, 1), target_out.flatten(), ignore_index=PAD)
    """
    rng = fresh()
    inputs = []
    for lengths, width in (([2, 6, 3], 8), ([4, 4], 5), ([1, 5], 5)):
        target = torch.randint(3, 9, (len(lengths), width), generator=rng) * lengths_mask(lengths, width)
        target[torch.arange(len(lengths)), torch.tensor(lengths) - 1] = END
        inputs.append((2 * torch.randn(len(lengths), width, 9, generator=rng), target))
    judge(answer, inputs, masked_loss, MISTAKES_6, planted=planted_loss)


# --- 06.7 predict a number --------------------------------------------------------------------------------------------

MISTAKES_7 = [
    (16 / 64, "this counts words per number; one word out of 32 is more than one bit."),
    (16 * 32 / 64, "this counts 32 for each word: to choose one of 32 evenly takes log2(32) bits."),
    (64 / 80, "this is the wrong way round: bits per number of C, not numbers per bit."),
    (80.0, "this is the whole sentence's information in bits; share it among the 64 numbers of C."),
    (16 * math.log(32) / 64, "this is in nats; for bits take the logarithm to base 2."),
    (32 * math.log2(16) / 64, "words and vocabulary have changed places: there are 16 words, each one of 32."),
]


@exercise("06.7", "80 bits through 64 numbers: on paper that is easy, so what the sweep shows is about learning too.",
          function=False)  # fmt: skip
def check_06_7(answer):
    """**Exercise 06.7 · ●●○○○ · 5 min** - predict a number

    A sentence to be copied has 16 words, each drawn evenly and independently from a vocabulary of 32. C has 64
    numbers. How many bits must each number of C carry, on average, for the copy to be perfect?

    Hint 1: how many bits does it take to say which of 32 words one word is?
    Hint 2: bits a word × words / numbers of C.
    Solution: 16 * math.log2(32) / 64
    """
    judge_value(answer, 16 * math.log2(32) / 64, MISTAKES_7)


# --- what proves them -------------------------------------------------------------------------------------------------


def _loop_last_state(states, mask):
    return torch.stack([row[m][-1] for row, m in zip(states, mask, strict=True)])


def _loop_one_too_far(states, mask):
    out = []
    for row, m in zip(states, mask, strict=True):
        out.append(row[min(int(m.sum()), len(row) - 1)])
    return torch.stack(out)


def _loop_shift(target):
    rows_in, rows_out = [], []
    for row in target.tolist():
        words = [w for w in row if w]
        pads = [0] * (len(row) - len(words))
        rows_in.append([1, *words, *pads])
        rows_out.append([*words, 2, *pads])
    return torch.tensor(rows_in), torch.tensor(rows_out)


def _list_shift(target):
    return _loop_shift(target)[0].tolist(), _loop_shift(target)[1].tolist()


def _for_greedy(step, state, begin, end, max_length):
    written = [begin]
    for _ in range(max_length):
        logits, state = step(written[-1], state)
        best = logits.topk(1).indices[0]
        if best == end:
            return written[1:]
        written.append(best)
    return written[1:]


def _endless(step, state, begin, end, max_length):
    while True:
        _, state = step(begin, state)


def _tensor_perplexity(nll_sums, n_tokens):
    return torch.exp(torch.tensor(nll_sums).sum() / torch.tensor(n_tokens).sum())


def _gather_reverse(source):
    n = (source != PAD).sum(1, keepdim=True)
    place = torch.arange(source.shape[1]).expand_as(source)
    mirrored = n - 1 - place
    return source.gather(1, torch.where(mirrored < 0, place, mirrored))


def _reverse_in_place(source):
    for row in source:
        n = int((row != PAD).sum())
        row[:n] = row[:n].flip(0)
    return source


def _ignoring(logits, target_out):
    return F.cross_entropy(logits.flatten(0, 1), target_out.flatten(), ignore_index=PAD)


CHECKS = {
    "06_1": Check(check_06_1, [last_state, _loop_last_state],
                  [*gallery(MISTAKES_1), ("a loop, one too far", _loop_one_too_far, "one place too far")]),
    "06_2": Check(check_06_2, [shifted, _loop_shift],
                  [*gallery(MISTAKES_2), ("lists", _list_shift, "the first result must be a tensor")]),
    "06_3": Check(check_06_3, [greedy_words, _for_greedy],
                  [*gallery(MISTAKES_3), ("no end to it", _endless, "goes on for ever")]),
    "06_4": Check(check_06_4, [token_perplexity, _tensor_perplexity], gallery(MISTAKES_4)),
    "06_5": Check(check_06_5, [reversed_source, _gather_reverse],
                  [*gallery(MISTAKES_5), ("in place", _reverse_in_place, "in place; work on a copy")]),
    "06_6": Check(check_06_6, [masked_loss, _ignoring], gallery(MISTAKES_6), stub=planted_loss),
    "06_7": Check(check_06_7, [1.25, 5 / 4, torch.tensor(1.25)], [(hint[:30], v, hint) for v, hint in MISTAKES_7]),
}  # fmt: skip
