"""The path of `make demo` in Python: train sparse, export, prove it spike by spike, map, estimate."""

from pathlib import Path

import neurodeploy as nd

run = Path("runs/example")
nd.train("digits-mlp", out=run, force=True)
nd.to_nir(run, run / "model.nir", force=True)
proof = nd.verify(run, engines=["slayer", "reference", "event", "lava"], n_samples=50)
network, samples = nd.from_nir(run / "model.nir"), nd.load_samples(run / "test.npz")
activity = nd.simulate(network, samples)
accuracy = nd.accuracy(network, activity, samples)
print(f"accuracy {accuracy:.2%}, {proof['spikes_different']} of {proof['spikes_compared']} spikes differ")
for chip in ("loihi1", "loihi2"):
    mapping = nd.map_network(network, nd.load_chip(chip))
    counted = nd.simulate(network, samples, labels=mapping.core_labels())  # updated neurons of each core
    energy = nd.estimate(network, mapping, counted).total("chip").energy_j  # static power and embedded CPUs included
    print(f"{chip}: {len(mapping.cores)} cores, {mapping.synaptic_bytes} bytes, {energy.nominal * 1e6:.0f} uJ a sample")
