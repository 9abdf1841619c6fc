"""Opens files of neurodeploy in another framework and prints how many output bits differ: ``open_ours.py NAME FILE...``.

``NAME`` is snntorch, norse or spikingjelly. Beside each ``X.nir`` lies ``X.npz`` with the input ``x`` (samples, steps,
channels) and the output ``y`` of neurodeploy itself. Runs in the environment of the framework, without neurodeploy.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import sys
import warnings

import nir
import numpy as np
import torch

DT = 1e-4


def module(name: str, path: str):
    """Return the network of a file as a torch module of the framework."""
    if name == "snntorch":
        from snntorch.import_nir import import_from_nir

        return import_from_nir(nir.read(path))
    if name == "norse":
        import norse.torch

        return norse.torch.from_nir(nir.read(path), dt=DT)
    from spikingjelly.activation_based.nir_exchange import import_from_nir

    return import_from_nir(path, dt=DT, dtype=torch.float64)


def differing(name: str, path: str) -> int:
    """Return how many output bits of the framework are not those of neurodeploy."""
    with np.load(path.replace(".nir", ".npz")) as stored:
        x, y = stored["x"], stored["y"]
    net, state, found = module(name, path), None, []
    kind = torch.float64 if name == "spikingjelly" else torch.float32
    with torch.no_grad():
        for t in range(x.shape[1]):
            out, state = net(torch.tensor(x[:, t], dtype=kind), state)
            found.append(out.numpy())
    return int(np.count_nonzero(np.stack(found, 1).reshape(y.shape) != y))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    with contextlib.redirect_stdout(io.StringIO()):
        counts = {path: differing(sys.argv[1], path) for path in sys.argv[2:]}
    print(json.dumps(counts))
