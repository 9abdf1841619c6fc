"""Twins of ``acceptance/test_data_real.py`` on sets of a few samples made here: what the loaders must not get wrong."""

from __future__ import annotations

import hashlib
import pickle
from dataclasses import replace

import numpy as np
from tiny_sets import braille_letters, nmnist_event, write, write_idx_set, write_wav

from neurodeploy.data.catalog import verify_data_set
from neurodeploy.data.events import read_nmnist
from neurodeploy.data.files import unpickle_plain
from neurodeploy.data.images import load_idx_images
from neurodeploy.data.parts import encode_lazily, load_splits
from neurodeploy.recipe.data import DataRecipe
from neurodeploy.recipe.data_sets import DATA_SETS

BRAILLE = ["Space", *map(chr, range(65, 91))]


def test_files_with_the_published_hash_are_told_from_others_and_a_missing_half_is_seen(tmp_path, monkeypatch):
    write_idx_set(tmp_path / "MNIST/raw", packed=False)
    file = "MNIST/raw/train-labels-idx1-ubyte"
    published = {name: hashlib.md5(b"other").hexdigest() for name in DATA_SETS["mnist"].md5}
    published[file] = hashlib.md5((tmp_path / file).read_bytes()).hexdigest()
    monkeypatch.setitem(DATA_SETS, "mnist", replace(DATA_SETS["mnist"], md5=published, n_train=20, n_test=20))
    found = verify_data_set("mnist", tmp_path)
    assert (found["train"], found["test"], found["expected_test"], found["complete"]) == (20, 10, 20, False)
    states = {name: "as published" if name == file else "differs" for name in published}
    assert {name.removesuffix(".gz"): state for name, state in found["hashes"].items()} == states


def test_images_are_encoded_a_batch_at_a_time_with_the_rounded_number_of_spikes(tmp_path):
    write_idx_set(tmp_path / "MNIST/raw")
    train, _ = load_idx_images("mnist", "MNIST", tmp_path)
    index = np.array([19, 0, 7])
    spikes = encode_lazily(train, DataRecipe(name="mnist", n_steps=20), "train").raster(index)
    assert spikes.shape == (3, 20, 784)
    assert np.array_equal(spikes.sum(1), np.rint(train.values[index].astype(np.float32) / np.float32(255) * 20))


def test_nmnist_recordings_have_the_counts_that_were_written_and_fill_the_pooled_frames(tmp_path):
    events = b"".join(nmnist_event(33, 33, 1, time) for time in range(0, 340_000, 10_000))
    for part, count in (("Train", 12), ("Test", 1)):
        for label, i in np.ndindex(10, count):
            write(tmp_path / f"NMNIST/{part}/{label}/{i:05}.bin", events)
    assert {len(read_nmnist(path)[0]) for path in (tmp_path / "NMNIST").glob("*/*/*.bin")} == {34}
    found = verify_data_set("nmnist", tmp_path)
    assert (found["train"], found["test"]) == (120, 10)
    recipe = DataRecipe.model_validate({"name": "nmnist", "n_steps": 17, "root": str(tmp_path), "pool": 2})
    train, validation, test = load_splits(recipe)
    assert (len(train.labels) + len(validation.labels), len(test.labels)) == (120, 10)
    assert train.shape == (2, 17, 17)
    frames = train.raster(slice(None)).reshape(len(train.labels), 17, 2, 17, 17)
    assert frames[:, :15, 1, 16, 16].all()  # each of the steps in the 300 ms that are read
    assert frames.sum() == frames[:, :, 1, 16, 16].sum()


def test_nmnist_events_picture_the_image_that_they_were_made_from(tmp_path):
    """Rows and columns are not exchanged, and neither runs backwards."""
    image = np.triu(np.arange(34 * 34).reshape(34, 34) % 5)
    places = np.repeat(np.argwhere(image), image[image > 0], axis=0)
    write(tmp_path / "a.bin", b"".join(nmnist_event(x, y, 0, 100 * i) for i, (y, x) in enumerate(places.tolist())))
    time_us, polarity, y, x = read_nmnist(tmp_path / "a.bin")
    assert np.array_equal(np.bincount(y * 34 + x, minlength=34 * 34).reshape(34, 34), image)
    assert np.array_equal(time_us, 100 * np.arange(len(places)))
    assert not polarity.any()


def test_braille_has_every_letter_as_often_as_written_and_two_events_in_one_step_are_one(tmp_path):
    for part, count in (("train", 12), ("test", 1)):
        recordings = braille_letters(BRAILLE * count)
        for recording in recordings:
            recording["events"][3] = [[0.101, 0.102, 0.5], []]
        write(tmp_path / f"Braille/data_braille_letters_th10_{part}", pickle.dumps(recordings))
    recipe = DataRecipe.model_validate({"name": "braille", "n_steps": 135, "root": str(tmp_path)})
    train, validation, test = load_splits(recipe)
    assert (np.bincount(train.labels) + np.bincount(validation.labels)).tolist() == [12] * 27
    assert np.bincount(test.labels).tolist() == [1] * 27
    plain = unpickle_plain(tmp_path / "Braille/data_braille_letters_th10_train")
    assert {sum(len(train) for taxel in one["events"] for train in taxel) for one in plain} == {5}
    assert set(train.raster(slice(None)).sum((1, 2))) == {4}


def test_spoken_digits_are_told_apart_by_a_linear_read_out_of_their_spike_counts(tmp_path):
    """Each digit is a tone of its own pitch under noise; the five lowest recordings of each are the test part."""
    rng, seconds = np.random.default_rng(0), np.arange(3200) / 8000
    for digit, index in np.ndindex(10, 20):
        tone = np.sin(2 * np.pi * (300 + 300 * digit) * seconds + rng.uniform(0, 6)) + 0.3 * rng.normal(size=3200)
        write_wav(tmp_path / f"FSDD/recordings/{digit}_ann_{index}.wav", 8000 * tone)
    recipe = DataRecipe.model_validate({"name": "fsdd", "n_steps": 100, "root": str(tmp_path)})
    train, validation, test = load_splits(recipe)
    assert np.bincount(test.labels).tolist() == [5] * 10
    assert (np.bincount(train.labels) + np.bincount(validation.labels)).tolist() == [15] * 10

    def counts(part):
        blocks = part.raster(slice(None)).reshape(len(part.labels), 20, 5, 40).sum(2)
        return np.hstack([blocks.reshape(len(blocks), -1), np.ones((len(blocks), 1))])

    seen = counts(train)
    weights = np.linalg.solve(seen.T @ seen + 100 * np.eye(seen.shape[1]), seen.T @ np.eye(10)[train.labels])
    assert np.mean((counts(test) @ weights).argmax(1) == test.labels) > 0.85
