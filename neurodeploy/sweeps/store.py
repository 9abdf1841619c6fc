"""Store of the results of a sweep's stages, under the hash of a stage's input, so that nothing is computed twice."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from neurodeploy.files.json_text import parse_json, to_json
from neurodeploy.files.plain import read_text
from neurodeploy.files.writing import replacing, write_text
from neurodeploy.version import __version__

FORMAT = 1
"""Version of the stages; increased whenever a stage changes its computation or its result."""
RESULT_FILE = "result.json"


def content_key(stage: str, *parts: Any) -> str:
    """Return the hash of a stage's name and of all its input: bytes, records, and plain values."""
    digest = hashlib.sha256(f"{stage}|{FORMAT}|{__version__}".encode())
    for part in parts:
        if isinstance(part, BaseModel):
            part = part.model_dump(mode="json")
        raw = part if isinstance(part, bytes) else json.dumps(part, sort_keys=True).encode()
        digest.update(len(raw).to_bytes(8, "big") + raw)
    return digest.hexdigest()[:20]


class Store:
    """A folder with one subfolder for each result, which holds the result's files and, written last, ``result.json``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, stage: str, key: str) -> Path:
        """Return the folder of a result, whether or not it exists."""
        return self.folder / f"{stage}-{key}"

    def load(self, stage: str, key: str) -> dict[str, Any] | None:
        """Return a result with its ``files`` as bytes, None if it is not completely there."""
        folder = self.path(stage, key)
        try:
            result: dict[str, Any] = parse_json(read_text(folder / RESULT_FILE))
            files = {name: (folder / name).read_bytes() for name in result["files"]}
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return {**result, "files": files}

    def save(self, stage: str, key: str, result: dict[str, Any]) -> None:
        """Write a result; a result whose writing was interrupted counts as absent."""
        folder = self.path(stage, key)
        folder.mkdir(parents=True, exist_ok=True)
        files = result.get("files", {})
        for name, content in files.items():
            with replacing(folder / name) as partial:
                partial.write_bytes(content)
        write_text(to_json({**result, "files": sorted(files)}) + "\n", folder / RESULT_FILE)
