"""Messages name options as whoever reads them can type them: on the command line, and in Python where that differs."""

import ast
import re

import pytest
from building import ROOT

HINT = re.compile(
    r"\bpass [a-z_]+=|\b(?:discretization|on_overflow)='|\b(?:strict|metadata)=(?:True|False)"
    r"|\b[Rr]aise [a-z]+_[a-z_]+\b"
)
"""Words that tell the reader to give a keyword of a Python function."""
SAID = re.compile(r"--[a-z]|Python")
MODULES = sorted((ROOT / "neurodeploy").rglob("*.py"))


def texts(path):
    """Yield the texts in a module that are no docstrings, with a place for each value; parts that join are one."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docstrings = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr)}
    inside = {id(v) for n in ast.walk(tree) if isinstance(n, ast.JoinedStr) for v in ast.walk(n) if v is not n}
    for node in ast.walk(tree):
        if id(node) in docstrings or id(node) in inside:
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value
        elif isinstance(node, ast.JoinedStr):
            yield node.lineno, "".join(v.value if isinstance(v, ast.Constant) else "{}" for v in node.values)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT / "neurodeploy")))
def test_no_message_names_a_python_keyword_alone(path):
    wrong = [f"{path}:{line}: {text}" for line, text in texts(path) if HINT.search(text) and not SAID.search(text)]
    assert wrong == []


def test_the_rule_finds_what_it_is_for():
    assert HINT.search("the length of a step is contradictory; pass dt=")
    assert HINT.search("or pass strict=False to have one inserted")
    assert HINT.search("write with discretization='euler'")
    assert HINT.search("was ended. Raise timeout_s, or run fewer samples")
    assert not HINT.search("node 'a' says reset='subtract', but only LIF has a reset")
