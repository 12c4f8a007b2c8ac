"""Kafka, PostgreSQL and a mail sink for tests and trials: `python -m dunning_cli.stack.keep --data-dir DIR`.

Without options it starts them in the background, if they do not run yet, and prints their settings; `dunning down
--data-dir DIR` stops them. With `--while-stdin-open` it stays in the foreground and stops them when its standard input
ends: a test run that was killed leaves nothing behind.
"""

import argparse
import sys
import threading
from pathlib import Path

from dunning_cli.errors import CommandError
from dunning_cli.stack.background import up_in_background
from dunning_cli.stack.env_file import EnvFile
from dunning_cli.stack.layout import Layout, deploy_dir
from dunning_cli.stack.report import Report
from dunning_cli.stack.run import UpOptions, run_stack
from dunning_cli.stack.scopes import Scope
from dunning_cli.stack.signals import stop_on_signals


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--while-stdin-open", action="store_true")
    arguments = parser.parse_args()
    options = UpOptions(arguments.data_dir, deploy_dir() / "policies", frozenset({Scope.INFRA}))
    try:
        if arguments.while_stdin_open:
            run_stack(options, Report(), _stop_at_end_of_input())
        else:
            up_in_background(options, Report())
            for name, value in EnvFile(Layout.at(options.data_dir)).read().items():
                print(f"export {name}={value}")
    except CommandError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


def _stop_at_end_of_input() -> threading.Event:
    stopping = stop_on_signals()

    def wait_for_end() -> None:
        sys.stdin.read()
        stopping.set()

    threading.Thread(target=wait_for_end, daemon=True).start()
    return stopping


if __name__ == "__main__":
    sys.exit(main())
