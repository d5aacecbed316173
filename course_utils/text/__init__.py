"""From sentences to tensors: tokens and vocabulary, subwords, masks, batches."""
