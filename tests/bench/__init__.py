"""`make bench`: what docs/bench.md lists, measured on this machine, throughput beside baselines of the same run."""
