"""The loaders on real MNIST, N-MNIST, Braille letters and spoken digits, against facts that their READMEs state."""

from __future__ import annotations

import numpy as np
import pytest

from neurodeploy.data.catalog import verify_data_set
from neurodeploy.data.events import read_nmnist
from neurodeploy.data.files import unpickle_plain
from neurodeploy.data.images import load_idx_images
from neurodeploy.data.parts import encode_lazily, load_splits
from neurodeploy.recipe.data import DataRecipe


@pytest.fixture(scope="module")
def root(shared):
    return shared / "data"


@pytest.fixture(scope="module")
def mnist(root):
    return load_idx_images("mnist", "MNIST", root)


def test_mnist_has_60000_and_5000_images_that_begin_with_the_known_labels(mnist):
    train, test = mnist
    assert (train.values.shape, test.values.shape) == ((60000, 784), (5000, 784))
    assert train.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert test.labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert np.bincount(train.labels).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert round(float(train.values.mean()) / 255, 4) == 0.1307


def test_mnist_training_files_are_as_published_and_half_of_the_test_part_is_seen_as_missing(root):
    found = verify_data_set("mnist", root)
    assert (found["train"], found["test"], found["expected_test"], found["complete"]) == (60000, 5000, 10000, False)
    hashes = {file.split("/")[-1]: state for file, state in found["hashes"].items()}
    assert hashes == {
        "train-images-idx3-ubyte.gz": "as published",
        "train-labels-idx1-ubyte.gz": "as published",
        "t10k-images-idx3-ubyte.gz": "differs",
        "t10k-labels-idx1-ubyte.gz": "differs",
    }


def test_mnist_is_encoded_a_batch_at_a_time_with_the_rounded_number_of_spikes(mnist):
    recipe = DataRecipe(name="mnist", n_steps=20)
    part = encode_lazily(mnist[0], recipe, "train")
    index = np.array([59999, 0, 31])
    spikes = part.raster(index)
    assert spikes.shape == (3, 20, 784)
    expected = np.rint(mnist[0].values[index].astype(np.float32) / np.float32(255) * 20)
    assert np.array_equal(spikes.sum(1), expected)


def test_nmnist_labels_are_those_of_the_mnist_image_of_the_same_index(root, mnist):
    files = list((root / "NMNIST").glob("*/*/*.bin"))
    assert len(files) == 900
    for path in files:
        held_in_test = path.stem.startswith("t")
        part = mnist[1] if held_in_test else mnist[0]
        assert part.labels[int(path.stem.lstrip("t")) - 1] == int(path.parent.name), path.name


def test_nmnist_recordings_have_the_stated_counts_and_fill_the_frames(root):
    counts = [len(read_nmnist(path)[0]) for path in (root / "NMNIST").glob("*/*/*.bin")]
    assert (min(counts), max(counts)) == (1069, 7152)
    found = verify_data_set("nmnist", root)
    assert (found["train"], found["test"]) == (750, 150)
    recipe = DataRecipe.model_validate({"name": "nmnist", "n_steps": 17, "root": str(root), "pool": 2})
    train, validation, test = load_splits(recipe)
    assert (len(train.labels) + len(validation.labels), len(test.labels)) == (750, 150)
    assert train.shape == (2, 17, 17)
    frames = train.raster(slice(0, 100))
    assert frames[:, :15].any(axis=(0, 2)).all()  # three saccades of 100 ms


def test_nmnist_events_picture_the_mnist_image_of_the_same_index(root, mnist):
    """The README states a mean correlation of 0.69 with the image of the same index, 0.49 with another."""
    own, other = [], []
    paths = sorted((root / "NMNIST/Train").glob("*/*.bin"))[::25]
    images = [mnist[0].values[int(path.stem) - 1].reshape(28, 28) for path in paths]
    for path, image, wrong in zip(paths, images, images[::-1]):
        _, _, y, x = read_nmnist(path)
        events = np.bincount(y * 34 + x, minlength=34 * 34).reshape(34, 34)[3:31, 3:31]
        own.append(np.corrcoef(events.ravel(), image.ravel())[0, 1])
        other.append(np.corrcoef(events.ravel(), wrong.ravel())[0, 1])
    assert np.mean(own) > 0.5
    assert np.mean(own) > np.mean(other) + 0.1


def test_braille_has_160_and_20_samples_of_each_of_27_letters_with_41_events_on_average(root):
    recipe = DataRecipe.model_validate({"name": "braille", "n_steps": 135, "root": str(root)})
    train, validation, test = load_splits(recipe)
    assert (np.bincount(train.labels) + np.bincount(validation.labels)).tolist() == [160] * 27
    assert np.bincount(test.labels).tolist() == [20] * 27
    samples = unpickle_plain(root / "Braille/data_braille_letters_th10_train")
    events = [sum(len(train) for taxel in sample["events"] for train in taxel) for sample in samples]
    assert round(np.mean(events)) == 41
    per_sample = np.concatenate([train.raster(slice(None)), validation.raster(slice(None))]).sum((1, 2))
    assert 0.9 * np.mean(events) < per_sample.mean() <= np.mean(events)  # two events in one step of 10 ms are one


def test_spoken_digits_are_2400_and_300_recordings_that_a_linear_read_out_tells_apart(root):
    """The README states 0.95 for a linear read-out of 20 x 40 log-mel values; spike counts keep most of that."""
    recipe = DataRecipe.model_validate({"name": "fsdd", "n_steps": 100, "root": str(root)})
    train, validation, test = load_splits(recipe)
    assert np.bincount(test.labels).tolist() == [30] * 10
    assert (np.bincount(train.labels) + np.bincount(validation.labels)).tolist() == [240] * 10

    def counts(part):
        blocks = part.raster(slice(None)).reshape(len(part.labels), 20, 5, 40).sum(2)
        return np.hstack([blocks.reshape(len(blocks), -1), np.ones((len(blocks), 1))])

    seen = counts(train)
    weights = np.linalg.solve(seen.T @ seen + 100 * np.eye(seen.shape[1]), seen.T @ np.eye(10)[train.labels])
    accuracy = np.mean((counts(test) @ weights).argmax(1) == test.labels)
    assert accuracy > 0.85
