"""The one training loop, and algorithms as frozen configurations of it."""
