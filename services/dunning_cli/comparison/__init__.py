"""What changes for a customer between two policies, in words: what `dunning policy diff` says."""
