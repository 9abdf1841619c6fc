#!/bin/sh
# Finds a Python and makes a virtual environment with neurodeploy and the given extras in it.
#
#   tools/setup.sh VERSION FOLDER EXTRAS     e.g. tools/setup.sh 3.10 .venv train,lava,report,dev
#
# Does nothing where FOLDER was made from the same packages in pyproject.toml (not its settings of tools), constraints.txt
# and extras. pip's own settings (PIP_INDEX_URL, PIP_FIND_LINKS, pip.conf, ...) are honoured; PYTHON=/path/to/python names
# the interpreter.
set -eu
version=$1 folder=$2 extras=$3
cd "$(dirname "$0")/.."

is_version() { # PROGRAM: does it run, and is it Python $version with venv?
    [ "$("$1" -c 'import ensurepip, sys, venv; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" = "$version" ]
}

looked=""
find_python() {
    for candidate in "${PYTHON:-}" "python$version" python3 python \
        "$HOME"/.pyenv/versions/"$version".*/bin/python "$HOME"/.local/share/uv/python/cpython-"$version"*/bin/python3 \
        /usr/bin/python"$version" /usr/local/bin/python"$version" /opt/homebrew/bin/python"$version" \
        /opt/python"$version"/bin/python3 /opt/conda/bin/python; do
        [ -n "$candidate" ] || continue
        looked="$looked\n    $candidate"
        if is_version "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    printf "setup: no Python %s with venv found. Looked for:$looked\n" "$version" >&2
    cat >&2 <<END
  Get one with one of
    apt-get install python$version python$version-venv      (Debian, Ubuntu with the deadsnakes archive)
    uv python install $version
    pyenv install $version
    conda create -n py$version python=$version
  and run again, or name it: PYTHON=/path/to/python$version make ...
END
    exit 2
}

python=$(find_python)
wanted=$({ sed '/^\[tool\.pytest/,$d' pyproject.toml; cat constraints.txt tools/setup.sh; } | cksum)" $extras $("$python" -c 'import sys; print(sys.version)')"
if [ -x "$folder/bin/python" ] && [ "$(cat "$folder/.made-from" 2>/dev/null)" = "$wanted" ]; then
    exit 0
fi
case ",$extras," in
*,lava,*) echo "setup: making $folder with Python $version; the Lava environment downloads about 3.2 GB (torch 2.3.1 with its
setup: CUDA libraries) and takes about 6 GB on disk. A pip index with a CPU build of torch makes both far smaller:
setup: set PIP_EXTRA_INDEX_URL." ;;
*,train,*) echo "setup: making $folder with Python $version and torch, which takes 4.6 GB on disk with its CUDA libraries, 0.8 GB
setup: as a CPU build: set PIP_EXTRA_INDEX_URL to a pip index that has one." ;;
*) echo "setup: making $folder with Python $version; downloads about 200 MB (no torch, no Lava)." ;;
esac
rm -rf "$folder"
"$python" -m venv "$folder"
if ! "$folder/bin/python" -m pip install --quiet --constraint constraints.txt --editable ".[$extras]"; then
    echo "setup: pip could not install .[$extras] into $folder; its message stands above. Without a network, point" \
        "PIP_FIND_LINKS or PIP_INDEX_URL at a copy of the packages in constraints.txt" >&2
    exit 1
fi
echo "$wanted" > "$folder/.made-from"
