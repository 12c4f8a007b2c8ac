"""The whole platform in one process, on simulated time, with faults that a seed decides (docs/proof.md).

`python -m tests.platform --seeds 1000` runs many, `--seed N` replays one and shows what happened.
"""
