"""Rules of the house that no tool checks: sizes, and who may know Prefect."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from evergreen.settings import Settings
from flows.cli import app

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
SOURCES = sorted([*(ROOT / "src").rglob("*.py"), *(ROOT / "flows").rglob("*.py"), *(ROOT / "deploy").rglob("*.py")])
PURE = sorted([*(ROOT / "src").rglob("*.py"), *(ROOT / "tests" / "evergreen").rglob("*.py"), *(ROOT / "tests" / "problem").rglob("*.py")])
NAMED = ("tests/evergreen/test_gate_decision.py", "tests/evergreen/test_journal.py", "tests/problem/test_contract.py")
FAST = tuple(place for place in NAMED if (ROOT / place).exists())  # a problem of your own may have no such test
WITHOUT_PREFECT = """
import sys

class NoPrefect:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "prefect":
            raise ModuleNotFoundError("there is no Prefect here", name=name)

sys.meta_path.insert(0, NoPrefect())
import pytest
sys.exit(pytest.main(["-p", "no:cacheprovider", *sys.argv[1:]]))
"""


def lines(path: Path) -> int:
    return len(path.read_text().splitlines())


def imported(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


def test_no_source_file_is_longer_than_300_lines():
    assert {str(path.relative_to(ROOT)): lines(path) for path in SOURCES if lines(path) > 300} == {}


def test_the_contract_can_be_read_on_a_page_or_two():
    assert lines(ROOT / "src" / "problem" / "contract.py") <= 100


@pytest.mark.skipif(not README.startswith("# Evergreen\n"), reason="a fork has a README of its own")
def test_the_readme_is_short_and_begins_with_a_command():
    text = README.splitlines()
    assert len(text) <= 120
    assert any(line.startswith(("    make ", "    evergreen ", "make ", "$ make ")) for line in text[:15])


def test_only_the_application_knows_prefect():
    assert [str(path.relative_to(ROOT)) for path in PURE if imported(path) & {"prefect", "flows"}] == []


def test_a_function_fits_a_page_and_five_arguments():
    found = {}
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                given = [each.arg for each in (*node.args.args, *node.args.kwonlyargs) if each.arg not in {"self", "cls"}]
                rows = (node.end_lineno or 0) - node.lineno + 1
                if rows > 40 or len(given) > 5:
                    found[f"{path.relative_to(ROOT)}: {node.name}"] = (rows, len(given))
    assert found == {}


@pytest.mark.parametrize("places", [FAST], ids=["some of them"])
def test_the_machinerys_tests_pass_where_there_is_no_prefect(places: tuple[str, ...]):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_PREFECT, *places], cwd=ROOT, capture_output=True, text=True, timeout=400, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def words_of(app: typer.Typer, before: str = "evergreen") -> Iterator[str]:
    """Every command as it is typed."""
    for one in app.registered_commands:
        assert one.callback is not None
        yield f"{before} {one.name or one.callback.__name__.replace('_', '-')}"
    for group in app.registered_groups:
        assert group.typer_instance is not None
        yield from words_of(group.typer_instance, f"{before} {group.name}" if group.name else before)


def test_every_command_has_a_row_in_the_table_of_commands():
    table = (ROOT / "docs" / "operate.md").read_text().partition("## Commands")[2].partition("\n## ")[0]
    named = re.findall(r"`(evergreen [^`]*)`", "\n".join(line.partition(" | ")[0] for line in table.splitlines() if line.startswith("|")))
    assert [word for word in words_of(app) if not any(f"{one} ".startswith(f"{word} ") for one in named)] == []


@pytest.mark.parametrize("place", ["docs/operate.md", ".env.example"])
def test_every_setting_is_named_where_settings_are_listed(place: str):
    text = (ROOT / place).read_text().rpartition("## Environment")[2]
    assert [name for name in Settings.model_fields if f"EVERGREEN_{name.upper()}" not in text] == []


def test_the_architecture_counts_the_rules_of_import_linter():
    told = (ROOT / "docs" / "architecture.md").read_text()
    (rules,) = re.findall(r"### Who may import whom\n\n.*?over (\w+) rules.*?:\n\n((?:- [^\n]*\n)+)", told, re.DOTALL)
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    assert (rules[0], len(rules[1].splitlines())) == (("five", "six", "seven")[len(known) - 5], len(known))
