"""docs/threats.md names a proof in every row, and every proof is a test that exists."""

import ast
import re
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_DOCUMENT = (_ROOT / "docs" / "threats.md").read_text()
_PROOF = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
_ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for section in _DOCUMENT.split("\n## ")
    if "| attack | answer | proof |" in section
    for line in section.splitlines()
    if line.startswith("| ") and not line.startswith("| attack |")
]


def _tests_in(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    return {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test")
    }


def test_every_test_it_names_exists() -> None:
    named = _PROOF.findall(_DOCUMENT)
    assert len(named) > 80, "the document names too little to be believed"
    missing = [
        f"{file}::{name}"
        for file, name in named
        if not (_ROOT / file).is_file() or name not in _tests_in(_ROOT / file)
    ]
    assert missing == []


def test_every_attack_has_a_proof() -> None:
    assert len(_ROWS) > 40
    assert [row[0] for row in _ROWS if len(row) < 3 or not _PROOF.search(row[2])] == []


def test_every_attack_test_is_in_the_document() -> None:
    named = {name for _, name in _PROOF.findall(_DOCUMENT)}
    attacks = set[str]().union(
        *(
            _tests_in(path)
            for path in Path(__file__).parent.glob("test_*.py")
            if path != Path(__file__)
        )
    )
    assert attacks - named == set()
