"""`python -m tests.faults`: write the table of docs/faults.md anew from rows.yaml."""

from tests.faults.rows import PAGE, read_rows, with_table

if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(), read_rows()))
