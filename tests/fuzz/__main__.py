"""``python tests/fuzz [--n 10000] [--seed 0] [--keep FOLDER] [NAME ...]``: damaged files through every loader.

Each batch runs in a process of its own, which is ended where it takes too long, so that a hang is found as well.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fuzz.loaders import LOADERS
from fuzz.run import BATCH, run_apart


def main() -> None:
    """Run the command."""
    words = argparse.ArgumentParser(prog="python tests/fuzz", description=__doc__)
    words.add_argument("names", nargs="*", metavar="NAME", help=f"loaders: {', '.join(LOADERS)}; by default all")
    words.add_argument("--n", type=int, default=10_000, help="damaged files for each loader")
    words.add_argument("--seed", type=int, default=0)
    words.add_argument("--keep", type=Path, help="folder for files that went wrong")
    given = words.parse_args()
    if given.keep:
        given.keep.mkdir(parents=True, exist_ok=True)
    failed = False
    for name in given.names or LOADERS:
        read = refused = 0
        slowest = 0.0
        wrong: dict[int, str] = {}
        for first in range(0, given.n, BATCH):
            found = run_apart(name, min(BATCH, given.n - first), given.seed, first, given.keep)
            read, refused, slowest = read + found.read, refused + found.refused, max(slowest, found.slowest_s)
            wrong |= found.wrong
        print(f"{name}: {read} read, {refused} refused, {len(wrong)} wrong, slowest {slowest:.2f} s", flush=True)
        for number, how in list(wrong.items())[:20]:
            print(f"    number {number}: {how}", flush=True)
        failed = failed or bool(wrong)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
