"""All three services' own decisions on a simulated clock (rule 46)."""
