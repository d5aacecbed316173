"""One sequence-to-sequence contract: `contract` says what a translator offers, `decoding` writes with any of them."""
