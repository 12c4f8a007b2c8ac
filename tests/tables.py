"""What tables of the documents name, looked up where it should be."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]


def is_there(test: str) -> bool:
    """Whether `path::name` is a function of that file."""
    path, _, name = test.partition("::")
    nodes = ast.walk(ast.parse((ROOT / path).read_text()))
    return name in {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
