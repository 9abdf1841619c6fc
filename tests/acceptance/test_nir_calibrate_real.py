"""Floats against 8 and 4 bits with and without data, on digits and on real Braille: ``python`` this file for the table.

A hidden layer of LIF neurons with random float weights and a read-out trained on its spikes by logistic regression: a
float network as other frameworks hand it over, made in seconds and without torch.
"""

from __future__ import annotations

from pathlib import Path

import nir
import numpy as np
import pytest

from neurodeploy.exchange.nir.interpreter import interpret
from neurodeploy.exchange.nir.read import from_nir
from neurodeploy.network.activity import Events, Samples
from neurodeploy.proofs.floats import beside_floats

HIDDEN, DECAY, DT = 96, 0.04, 1e-3


def digits():
    """Rasters (samples, steps, 64) of scikit-learn's digits, pixels that spike as often as they are dark, and labels."""
    pytest.importorskip("sklearn")
    from neurodeploy.data.digits import load_digits

    given = load_digits()
    values = given.values.reshape(len(given.labels), 1, 64)
    return np.random.default_rng(0).random((len(values), 24, 64)) < 0.5 * values, given.labels


def braille(root):
    """1120 letters under a fingertip, the 7 classes of the NIR paper, 24 channels in bins of 15 ms."""
    from neurodeploy.data.files import unpickle_plain

    path = root / "Braille" / "data_braille_letters_th10_train"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    letters = ["Space", "A", "E", "I", "O", "U", "Y"]
    given = [sample for sample in unpickle_plain(path) if sample["letter"] in letters]
    raster = np.zeros((len(given), 90, 24), bool)
    for i, sample in enumerate(given):
        for taxel, signs in enumerate(sample["events"]):
            for sign, times in enumerate(signs):
                raster[i, np.minimum(np.asarray(times, float) / 0.015, 89).astype(int), 2 * taxel + sign] = True
    return raster, np.array([letters.index(sample["letter"]) for sample in given])


def trained(raster, labels, chosen):
    """Return the float network as a graph: random hidden layer, read-out trained on the ``chosen`` samples."""
    from sklearn.linear_model import LogisticRegression

    rng, n_in, n_out = np.random.default_rng(1), raster.shape[2], int(labels.max()) + 1
    hidden = rng.normal(0, 1, (HIDDEN, n_in)) * rng.choice([0.5, 1.0, 4.0], (HIDDEN, 1)) / np.sqrt(n_in)

    def graph(weights, bias):
        n = len(weights)
        lif = nir.LIF(*(np.full(HIDDEN, v) for v in (20 * DT, 20.0, 0.0, 0.6)))
        li = nir.LI(*(np.full(n, v) for v in (DT / DECAY, 1 / DECAY, 0.0)))
        nodes = {"input": nir.Input(np.array([n_in])), "w1": nir.Linear(hidden), "lif": lif}
        nodes |= {"w2": nir.Affine(weights, bias), "li": li, "output": nir.Output(np.array([n]))}
        return nir.NIRGraph(nodes, list(zip(nodes, list(nodes)[1:])))

    spikes = interpret(graph(np.zeros((n_out, HIDDEN)), np.zeros(n_out)), {"input": raster[chosen]}).spikes["lif"]
    kept = (1 - DECAY) ** np.arange(raster.shape[1])[::-1]
    features = np.einsum("stn,t->sn", spikes, kept)
    unit = features.std()
    model = LogisticRegression(C=0.3, max_iter=5000).fit(features / unit, labels[chosen])
    return graph(model.coef_ / unit, model.intercept_ / kept.sum())


def table(name, raster, labels, folder):
    """Give a row for each width, without and with data: half the samples train and calibrate, the others are measured."""
    half = np.arange(len(labels)) % 2 == 0
    path = folder / f"{name}.nir"
    nir.write(path, trained(raster, labels, half))
    calibration, test = (
        Samples(inputs={"input": Events.from_dense(raster[part])}, labels=labels[part], name=name)
        for part in (half, ~half)
    )
    for bits in (8, 4):
        for data in (None, calibration):
            network = from_nir(path, weight_bits=bits, data=data)
            found = beside_floats(path, network, test)
            yield {"set": name, "bits": bits, "data": data is not None, **found}


@pytest.mark.slow
def test_scale_chosen_on_data_leaves_fewer_wrong_spikes_and_more_right_classes(tmp_path):
    """On digits, measured: of the hidden neuron steps 2.1 % -> 1.4 % wrong in 8 bits, 7.5 % -> 6.2 % in 4 bits."""
    without8, with8, without4, with4 = table("digits", *digits(), tmp_path)
    assert with8["differing"]["lif"] < 0.8 * without8["differing"]["lif"]
    assert with4["differing"]["lif"] < 0.9 * without4["differing"]["lif"]
    assert with4["accuracy"] > without4["accuracy"] + 0.05
    assert abs(with8["accuracy"] - with8["accuracy_floats"]) < 0.01


def main() -> None:
    """Print the table."""
    import tempfile

    root = Path(__file__).resolve().parents[2].parent / "shared" / "data"
    print("set,bits,data,accuracy_floats,accuracy,same_class,hidden_spikes_differing")
    with tempfile.TemporaryDirectory() as folder:
        for name, given in (("digits", digits()), ("braille", braille(root))):
            for row in table(name, *given, Path(folder)):
                shown = (row["accuracy_floats"], row["accuracy"], row["same_class"], row["differing"]["lif"])
                print(f"{name},{row['bits']},{row['data']}," + ",".join(f"{v:.4f}" for v in shown), flush=True)


if __name__ == "__main__":
    main()
