"""The real platform under load, with a random fault of a seed every second or two (docs/faults.md): `make chaos`."""
