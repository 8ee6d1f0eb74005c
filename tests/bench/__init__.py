"""Benches: measured by `./gm bench`, each against a budget of the design and a baseline of the same run."""
