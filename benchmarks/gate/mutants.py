"""Break the gate's source in one place at a time, and see whether its tests notice.

    python -m benchmarks.gate.mutants                     everything, about twenty minutes on two quiet cores
    python -m benchmarks.gate.mutants --only checks_data  the files whose name contains this

Each comparison is turned round, each `and` becomes `or` and back, each `not` is dropped, each check is taken out of CHECKS. The change is
made in a copy of the package, on which the gate's tests run. What survives is a hole in the tests, or is explained in JUSTIFIED below.
"""

from __future__ import annotations

import argparse
import ast
import copy
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import Queue
from typing import Any

ROOT = Path(__file__).parents[2]
GATE = Path("evergreen") / "gate"
FILES = ("checks*.py", "decision.py", "comparison.py", "statistics.py", "ledger.py", "calibration.py", "identities.py", "strength.py")
SECONDS = 900
"""A mutant whose tests take longer has made them hang, and that is noticed."""
SLOW = ("test_gate_properties", "test_gate_tasks")
"""Tests that run last: most mutants are noticed before."""
OPPOSITE: dict[type, type] = {
    ast.Lt: ast.GtE,
    ast.GtE: ast.Lt,
    ast.Gt: ast.LtE,
    ast.LtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
JUSTIFIED: dict[str, str] = {}
"""What survives with good reason: the mutant's name (file, function and change, without line) -> why."""


@dataclass(frozen=True)
class Mutant:
    """One change of one file."""

    file: str
    line: int
    what: str
    source: str

    @property
    def name(self) -> str:
        """Where it is and what it does, whatever the line."""
        return f"{self.file}: {self.what}"


def mutants_of(path: Path) -> Iterator[Mutant]:
    """All changes of one file, from top to bottom."""
    tree = ast.parse(path.read_text())
    inside = {id(node): function.name for function in _functions(tree) for node in ast.walk(function)}
    for place, node in enumerate(ast.walk(tree)):
        for what, change in _changes(node):
            mutated = copy.deepcopy(tree)
            change(list(ast.walk(mutated))[place])
            where = f"{inside[id(node)]}: " if id(node) in inside else ""
            yield Mutant(path.name, getattr(node, "lineno", 0), where + what, ast.unparse(ast.fix_missing_locations(mutated)))


def _functions(tree: ast.AST) -> list[Any]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


def _changes(node: ast.AST) -> Iterator[tuple[str, Any]]:
    """What can be broken in a node: words, and the function that does it to the node's twin."""
    told = ast.unparse(node) if isinstance(node, ast.expr) else ""
    if isinstance(node, ast.Compare):
        for at, operator in enumerate(node.ops):
            yield f"`{told}` with {type(operator).__name__} turned round", lambda twin, at=at: _turn_round(twin, at)
    elif isinstance(node, ast.BoolOp):
        yield f"`{told}` with and/or exchanged", _exchange
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield f"`{told}` without not", _drop_not
    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == "CHECKS":
        groups = _tuples(node)
        for group, tuple_node in enumerate(groups):
            for at, element in enumerate(tuple_node.elts):
                if isinstance(element, ast.Name):
                    yield f"CHECKS without {element.id}", lambda twin, group=group, at=at: _take_out(twin, group, at)


def _turn_round(twin: Any, at: int) -> None:
    twin.ops[at] = OPPOSITE[type(twin.ops[at])]()


def _exchange(twin: Any) -> None:
    twin.op = ast.Or() if isinstance(twin.op, ast.And) else ast.And()


def _drop_not(twin: Any) -> None:
    # +x would fail for what is no number: two `not` are none
    twin.operand = ast.UnaryOp(op=ast.Not(), operand=twin.operand)


def _take_out(twin: Any, group: int, at: int) -> None:
    del _tuples(twin)[group].elts[at]


def _tuples(assignment: Any) -> list[ast.Tuple]:
    return [each for each in ast.walk(assignment.value) if isinstance(each, ast.Tuple)]


def noticed(mutant: Mutant | None, folder: Path) -> bool:
    """Whether the tests fail on the copy of the package in `folder` with this change."""
    home = folder / GATE
    original = ROOT / "src" / GATE
    if mutant is not None:
        (home / mutant.file).write_text(mutant.source)
    try:
        return _tests_fail(mutant, folder)
    finally:
        if mutant is not None:
            shutil.copy(original / mutant.file, home / mutant.file)


def _tests_fail(mutant: Mutant | None, folder: Path) -> bool:
    """Run the tests in a fork of this process, which has the large libraries loaded already."""
    found = (ROOT / "tests" / "evergreen").glob("test_gate_*.py")
    tests = sorted(found, key=lambda path: (path.stem in SLOW, path.name))
    about = [path for path in tests if _about(path, mutant) and path.stem not in SLOW]
    child = os.fork()
    if child == 0:  # those about the file alone first: most mutants are noticed there, and only they need to be collected
        _run_tests([[*map(str, part)] for part in (about, [path for path in tests if path not in about]) if part], folder)
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status) != 0
        time.sleep(0.05)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return True


def _run_tests(parts: list[list[str]], folder: Path) -> None:
    """In the fork: never returns."""
    import pytest

    code = 3
    try:
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        sys.path.insert(0, str(folder))
        sys.dont_write_bytecode = True
        os.chdir(ROOT)
        for tests in parts:
            code = int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", *tests]))
            if code:
                break
        import evergreen

        assert str(folder) in str(evergreen.__file__), "the tests ran on another copy"  # noqa: S101 - a fork may fail
    finally:
        os._exit(code)


def _about(test: Path, mutant: Mutant | None) -> bool:
    return mutant is not None and f"gate.{Path(mutant.file).stem} " in test.read_text()


def main() -> None:
    """Try all, print each survivor, and end with 1 where one is not explained."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="")
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    for library in ("pandas", "scipy.stats", "sklearn.metrics", "pydantic", "pytest", "sqlalchemy"):
        __import__(library)
    paths = sorted({path for pattern in FILES for path in (ROOT / "src" / GATE).glob(pattern) if arguments.only in path.name})
    mutants = [mutant for path in paths for mutant in mutants_of(path)]
    with tempfile.TemporaryDirectory() as temporary:
        folders: Queue[Path] = Queue()
        for number in range(arguments.jobs):
            folders.put(Path(shutil.copytree(ROOT / "src" / "evergreen", Path(temporary) / str(number) / "evergreen")).parent)
        first = folders.get()
        if noticed(None, first):
            sys.exit("The tests fail without any change; mend them first.")
        folders.put(first)
        survivors = _try_all(mutants, folders, arguments.jobs)
    unexplained = [mutant for mutant in survivors if mutant.name not in JUSTIFIED]
    print(f"\n{len(mutants) - len(survivors)} of {len(mutants)} mutants noticed, {len(survivors) - len(unexplained)} explained.")
    sys.exit(1 if unexplained else 0)


def _try_all(mutants: list[Mutant], folders: Queue[Path], jobs: int) -> list[Mutant]:
    def attempt(mutant: Mutant) -> bool:
        folder = folders.get()
        try:
            return noticed(mutant, folder)
        finally:
            folders.put(folder)

    survivors = []
    with ThreadPoolExecutor(jobs) as pool:
        for number, (mutant, found) in enumerate(zip(mutants, pool.map(attempt, mutants), strict=True), start=1):
            print(f"\r{number} of {len(mutants)}", end="", file=sys.stderr, flush=True)
            if not found:
                survivors.append(mutant)
                why = JUSTIFIED.get(mutant.name, "NOT EXPLAINED")
                print(f"\rsurvived: {mutant.file}:{mutant.line}: {mutant.what}: {why}", flush=True)
    return survivors


if __name__ == "__main__":
    main()
