"""The tables themselves, one file for each network and one for processors; `catalogue.py` says what a row holds."""
