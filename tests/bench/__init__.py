"""`make bench`: throughput, measured on this machine, beside a baseline that does the same job in the same run."""
