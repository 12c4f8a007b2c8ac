"""Which tests prove that a fault does no harm: the table of docs/faults.md."""
