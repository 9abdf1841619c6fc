"""MkDocs hook: pages of the site that are made from the code, or that lie outside docs/."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import Any

import click
import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

import neurodeploy as nd
from neurodeploy import errors
from neurodeploy.cli.entry import app
from neurodeploy.commands.recipe import FILES, file_keys
from neurodeploy.reports.schema import json_schema

ROOT = Path(__file__).parent.parent
OUTSIDE = {"index.md": "docs/README.md", "results.md": "models/README.md"}
"""Pages that stand elsewhere in the repository."""
TITLES = {
    "recipe": "A recipe says what is trained, on what, and how (`neurodeploy train FILE`).",
    "sweep": "A sweep trains and maps a grid of recipes (`neurodeploy sweep FILE`).",
    "gate": "A gate says what may get worse from one report to the next (`neurodeploy compare A B --gate FILE`).",
    "pins": "Pins fix choices of a mapping by hand (`neurodeploy map FILE --pin FILE`, or `[mapping]` of a recipe).",
    "chip": "A chip file describes a chip: limits, formats of synapses, prices (`neurodeploy chips new NAME`).",
}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made."""
    made = {f"reference/{kind}.md": keys_page(kind) for kind in FILES}
    made |= {
        "reference/options.md": options_page(),
        "reference/exit-codes.md": exit_codes_page(),
        "reference/report.md": schema_page(),
        "reference/python.md": python_page(),
    }
    made |= {page: outside_page(path) for page, path in OUTSIDE.items()}
    for page, text in made.items():
        files.append(File.generated(config, page, content=text))
    for picture in sorted((ROOT / "models").glob("*.svg")):
        files.append(File.generated(config, picture.name, abs_src_path=str(picture)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Return a page with links to what lies outside docs/ led to the site's own pages."""
    for target, page in (("../models/README.md", "results.md"), ("../README.md", "index.md")):
        markdown = markdown.replace(f"]({target})", f"]({page})")
    return markdown


def outside_page(path: str) -> str:
    """Return a page from elsewhere in the repository, its links as they are in the site."""
    text = (ROOT / path).read_text(encoding="utf-8")
    return re.sub(r"\]\((?:\.\./)?docs/", "](", text)


def keys_page(kind: str) -> str:
    """Return the keys of a kind of file as a page."""
    rows = [f"# Keys of a {kind} file\n", f"{TITLES[kind]}\n"]
    rows += ["A key that is absent has its default; keys without one may be absent.\n"]
    rows += ["| key | meaning | value | default |", "|---|---|---|---|"]
    rows += [f"| `{k.name}` | {_cell(k.meaning)} | {_cell(k.value)} | {_code(k.default)} |" for k in file_keys(of=kind)]
    return "\n".join(rows) + "\n"


def options_page() -> str:
    """Return every command with its arguments and options as a page."""
    lines = ["# Every command and its options\n"]
    for name, command in _commands("neurodeploy", typer.main.get_command(app)):
        lines += [
            f"## {name}\n",
            f"{inspect.cleandoc(command.help or '')}\n",
            "| argument | meaning | default |",
            "|---|---|---|",
        ]
        for one in command.params:
            if one.name != "help":
                shown = one.make_metavar() if isinstance(one, click.Argument) else ", ".join(one.opts)
                default = "" if one.default in (None, False) or callable(one.default) else str(one.default)
                lines.append(f"| `{shown}` | {_cell(getattr(one, 'help', None) or '')} | {_code(default)} |")
        lines.append("")
    return "\n".join(lines)


def _commands(name: str, command: click.Command) -> list[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        return [found for word, one in command.commands.items() for found in _commands(f"{name} {word}", one)]
    return [(name, command)]


def exit_codes_page() -> str:
    """Return the exit codes of the command line as a page."""
    kinds = [errors.NeurodeployError, *_below(errors.NeurodeployError)]
    rows = [f"| {k.exit_code} | `{k.__name__}` | {_cell((k.__doc__ or '').splitlines()[0])} |" for k in kinds]
    head = ["# Exit codes\n", "0 is success. A caller from Python catches the class, or `NeurodeployError`.\n"]
    return "\n".join([*head, "| code | error | when |", "|---|---|---|", *rows]) + "\n"


def _below(kind: type[Any]) -> list[type[Any]]:
    return [found for one in kind.__subclasses__() for found in (one, *_below(one))]


def schema_page() -> str:
    """Return the schema of ``report.json`` as a page."""
    schema = json_schema()
    text = json.dumps(schema, indent=2)
    return f"# report.json\n\nThe JSON schema of `report.json`, which `neurodeploy report` writes.\n\n```json\n{text}\n```\n"


def python_page() -> str:
    """Return all public names as a page, in the words of their docstrings."""
    names = [f"::: {module}.{name}\n" for name, module in sorted(nd._module_of.items())]
    return "\n".join(["# Python\n", "All public names come from `import neurodeploy as nd`.\n", *names])


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _code(text: str) -> str:
    return f"`{text}`" if text else ""
