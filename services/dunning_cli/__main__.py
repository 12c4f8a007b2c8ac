"""`python -m dunning_cli` is `dunning`."""

from dunning_cli.main import main

if __name__ == "__main__":
    main()
