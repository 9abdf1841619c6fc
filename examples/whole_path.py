"""The path of `make demo` in Python: train sparse, export, prove it spike by spike, map, estimate."""

from pathlib import Path

from neurodeploy import accuracy, commands, from_nir, load_chip, load_samples, map_network
from neurodeploy.costs.pricing import estimate
from neurodeploy.engines.table import simulate

run = Path("runs/example")
commands.train("digits-mlp", out=run, force=True)
commands.export(run, force=True)
proof = commands.verify(run, engines=["slayer", "reference", "event", "lava"], n_samples=50)
network, samples = from_nir(run / "model.nir"), load_samples(run / "test.npz")
activity = simulate(network, samples)
found = accuracy(network, activity, samples)
print(f"accuracy {found:.2%}, {proof['spikes_different']} of {proof['spikes_compared']} spikes differ")
for name in ("loihi1", "loihi2"):
    mapping = map_network(network, load_chip(name))
    energy = estimate(network, mapping, activity).energy.total_j
    print(f"{name}: {len(mapping.cores)} cores, {mapping.synaptic_bytes} bytes, {energy.nominal * 1e6:.2f} uJ a sample")
