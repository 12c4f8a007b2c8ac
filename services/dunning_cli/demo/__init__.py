"""`dunning demo`: realistic traffic, a simulated processor, and a look at what the platform makes of them.

Pure: `people`, `decline_mix`, `events`, `poison`, `traffic`, `books`, `odds`, `tally`, `receivables`. The rest
talks to Kafka or to the terminal.
"""
