"""What every model of the contract is held to: leaks, pads, neighbours, step by step, torch's own numbers."""
