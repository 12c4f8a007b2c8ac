"""What services in mode `observe` decided: it lies in schemas of their shadows (rule 42)."""
