"""Run by ``unit/targets/test_sanafe.py`` in a Python that has sanafe: its spikes for one exported network."""

import json
import sys
from pathlib import Path

import sanafe


def main(folder, n_steps):
    arch = sanafe.load_arch(Path(folder) / "arch.yaml")
    chip = sanafe.SpikingChip(arch)
    chip.load(sanafe.load_net(Path(folder) / "net.yaml", arch))
    done = chip.sim(timesteps=n_steps, timing_model="simple", perf_trace=True, spike_trace=True)
    spikes = [[str(neuron) for neuron in step] for step in done["spike_trace"]]
    print(
        "\n" + json.dumps({key: value for key, value in done.items() if key != "spike_trace"} | {"spike_trace": spikes})
    )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
