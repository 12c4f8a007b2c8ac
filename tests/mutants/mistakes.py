"""Which small mistakes can be made in a file's functions, one at a time."""

import ast
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

_SWAPPED: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
_TELLING = ("_log.", "metrics.", "self._metrics.", "self.metrics.", "turn.count(")  # nothing is decided by these
_COUNTING = frozenset({"_count", "_measure"})  # methods that only set metrics
Change = Callable[[ast.AST], ast.AST | None]  # what stands there instead; None: nothing does
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Mistake:
    """One change of one node of a function."""

    file: str
    function: str  # its qualified name
    line: int
    what: str
    place: int  # of the node in a walk over the function
    change: Change

    def __str__(self) -> str:
        return f"{self.file}:{self.line} {self.function}: {self.what}"


def mistakes_in(file: Path, root: Path) -> Iterator[Mistake]:
    """All of them, in the order of the file."""
    tree = ast.parse(file.read_text())
    for name, function in outermost_functions(tree):
        skipped = _skipped(function)
        for place, node in enumerate(ast.walk(function)):
            if node is not function and id(node) not in skipped:
                for what, change in _changes(node):
                    line = getattr(node, "lineno", function.lineno)
                    yield Mistake(str(file.relative_to(root)), name, line, what, place, change)


def outermost_functions(tree: ast.AST, within: str = "") -> Iterator[tuple[str, Function]]:
    """Of modules and classes; what is defined in a function belongs to it."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef):
            yield from outermost_functions(node, f"{within}{node.name}.")
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name not in _COUNTING:
            yield f"{within}{node.name}", node


def made(tree: ast.Module, mistake: Mistake) -> ast.Module:
    """The file with the mistake."""
    changed = copy.deepcopy(tree)
    function = dict(outermost_functions(changed))[mistake.function]
    target = next(node for place, node in enumerate(ast.walk(function)) if place == mistake.place)
    _Replace(target, mistake.change).visit(function)
    return ast.fix_missing_locations(changed)


class _Replace(ast.NodeTransformer):
    def __init__(self, target: ast.AST, change: Change) -> None:
        self._target = target
        self._change = change

    def visit(self, node: ast.AST) -> ast.AST:
        if node is not self._target:
            found: ast.AST = self.generic_visit(node)
            return found
        instead = self._change(node)
        return ast.copy_location(instead if instead is not None else ast.Pass(), node)


def _skipped(function: Function) -> set[int]:
    """Nodes of what decides nothing: signatures, docstrings, logs, metrics, assertions, the texts of errors."""
    apart: list[ast.AST] = [function.args, *function.decorator_list]
    if function.returns is not None:
        apart.append(function.returns)
    for node in ast.walk(function):
        if isinstance(node, ast.Assert) or _says_only(node):
            apart.append(node)
        elif isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            apart += [*node.exc.args, *node.exc.keywords]
        elif isinstance(node, ast.JoinedStr):
            apart.append(node)
        elif isinstance(node, ast.AnnAssign):
            apart.append(node.annotation)
    return {id(inner) for each in apart for inner in ast.walk(each)}


def _says_only(node: ast.AST) -> bool:
    if not isinstance(node, ast.Expr):
        return False
    return isinstance(node.value, ast.Constant) or ast.unparse(node.value).startswith(_TELLING)


def _changes(node: ast.AST) -> Iterator[tuple[str, Change]]:
    match node:
        case ast.Compare(ops=[only]) if type(only) in _SWAPPED:
            yield f"{_short(node)}: {_name(only)}", _with_operators(_SWAPPED[type(only)]())
        case ast.BoolOp(op=operator) | ast.BinOp(op=operator) if type(operator) in _SWAPPED:
            yield f"{_short(node)}: {_name(operator)}", _with(op=_SWAPPED[type(operator)]())
        case ast.UnaryOp(op=ast.Not()):
            yield f"{_short(node)}: without `not`", _operand
        case ast.If() | ast.While() | ast.IfExp():
            yield f"if {_short(node.test)}: the opposite", _negated
        case ast.Constant(value=bool(value)):
            yield f"{value} turned round", _with(value=not value)
        case ast.Constant(value=int(value)):
            yield f"{value} + 1", _with(value=value + 1)
        case ast.Constant(value=str(value)) if value:
            yield f"{value!r} with XX before it", _with(value=f"XX{value}")
        case ast.Return(value=value) if value is not None and not _is_none(value):
            yield f"{_short(node)}: returns None", _with(value=ast.Constant(None))
        case ast.Expr(value=ast.Call() | ast.Await()) | ast.AugAssign():
            yield f"{_short(node)}: left out", lambda _: None
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            yield f"{_short(node)}: left out", lambda _: None
        case ast.Continue():
            yield "break instead of continue", lambda _: ast.Break()
        case ast.Break():
            yield "continue instead of break", lambda _: ast.Continue()


def _with(**fields: object) -> Change:
    def change(node: ast.AST) -> ast.AST:
        for name, value in fields.items():
            setattr(node, name, value)
        return node

    return change


def _with_operators(operator: ast.AST) -> Change:
    return _with(ops=[operator])


def _operand(node: ast.AST) -> ast.AST:
    assert isinstance(node, ast.UnaryOp)
    return node.operand


def _negated(node: ast.AST) -> ast.AST:
    assert isinstance(node, (ast.If, ast.While, ast.IfExp))
    node.test = ast.UnaryOp(ast.Not(), node.test)
    return node


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _name(operator: ast.AST) -> str:
    return f"{type(operator).__name__} becomes {_SWAPPED[type(operator)].__name__}"


def _short(node: ast.AST) -> str:
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= 70 else f"{text[:67]}..."
