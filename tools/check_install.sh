#!/bin/sh
# Builds wheel and sdist, installs each into an empty environment, and runs the program there, away from the checkout.
#
#   tools/check_install.sh VERSION [FOLDER]     e.g. tools/check_install.sh 3.12 dist
#
# FOLDER (by default a temporary one) keeps wheel and sdist. The environments hold the extra 'report' in the versions of
# constraints.txt, and no torch. pip's own settings are honoured; PYTHON=/path/to/python names the interpreter.
set -eu
version=$1
cd "$(dirname "$0")/.."
python=${PYTHON:-python$version}
found=$("$python" -c 'import ensurepip, sys; print("%d.%d" % sys.version_info[:2])') || exit 2
if [ "$found" != "$version" ]; then
    echo "check_install: $python is Python $found; name Python $version: PYTHON=/path/to/python$version" >&2
    exit 2
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
dist=${2:-$work/dist}
mkdir -p "$dist"
dist=$(cd "$dist" && pwd)
if [ -n "$(ls "$dist")" ]; then
    echo "check_install: $dist is not empty; name another folder, or empty it" >&2
    exit 2
fi

"$python" -m venv "$work/build"
"$work/build/bin/python" -m pip install --quiet --constraint constraints.txt hatchling
"$work/build/bin/python" -m hatchling build -d "$dist"

release=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' neurodeploy/version.py)
write_network='
import numpy as np

from neurodeploy import Events, Network, Samples, save_samples, to_nir
from neurodeploy.network import Cuba, Dense, Input, Output, Population, Projection

rng = np.random.default_rng(0)
weights = 2 * rng.integers(-100, 100, (5, 12)) * (rng.random((5, 12)) < 0.5)
model = Cuba(current_decay=2048, voltage_decay=512, threshold=200)
network = Network(
    inputs=(Input(name="input", shape=(12,)),),
    populations=(Population(name="output", shape=(5,), model=model),),
    projections=(Projection(name="weights", source="input", target="output", synapses=Dense(weights=weights)),),
    outputs=(Output(name="class", population="output"),),
)
to_nir(network, "net.nir")
events = Events.from_dense(rng.random((6, 10, 12)) < 0.4)
save_samples(Samples(inputs={"input": events}, labels=np.arange(6) % 5), "samples.npz")
'
look_around='
import importlib.util, pathlib, sys

import neurodeploy

package = pathlib.Path(neurodeploy.__file__).parent
assert package.is_relative_to(sys.prefix), f"{package} is not in the new environment"
assert (package / "py.typed").is_file(), "no py.typed"
for name in ("torch", "lava"):
    assert importlib.util.find_spec(name) is None, f"{name} is installed"
'

fail() { # WHAT
    echo "check_install: $1" >&2
    exit 1
}

check() { # KIND FILE: what a user does first, in an empty folder with an empty environment
    echo "check_install: $2 on Python $version"
    "$python" -m venv "$work/$1"
    "$work/$1/bin/python" -m pip install --quiet --constraint constraints.txt "$2[report]"
    mkdir "$work/$1-runs"
    ( # PYTHONPATH would bring the checkout, and its packages, back in
        cd "$work/$1-runs"
        unset PYTHONPATH
        in_env=$work/$1/bin
        "$in_env/python" -c "$write_network"
        shown=$("$in_env/neurodeploy" --version)
        [ "$shown" = "neurodeploy $release" ] || fail "--version says '$shown', not 'neurodeploy $release'"
        for arguments in --help "chips list" "chips show loihi1" "check net.nir" "map net.nir --chip loihi1" \
            "estimate net.nir --chip loihi1 --data samples.npz" "report net.nir --data samples.npz --out report"; do
            # shellcheck disable=SC2086
            "$in_env/neurodeploy" $arguments > shown.txt
            [ -s shown.txt ] || fail "neurodeploy $arguments printed nothing"
        done
        [ -s report/report.html ] || fail "report wrote no page"
        "$in_env/python" -c "$look_around"
    )
}

check wheel "$(ls "$dist"/*.whl)"
check sdist "$(ls "$dist"/*.tar.gz)"
echo "check_install: wheel and sdist install and run on Python $version"
ls -l "$dist"
