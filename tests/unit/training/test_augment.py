"""Moved images: where the pixels go, what decides how far, and a training with them (resumed: ``test_resume.py``)."""

from __future__ import annotations

import numpy as np
import pytest

pytestmark = pytest.mark.train
torch = pytest.importorskip("torch", reason="needs torch (extra train)")

from neurodeploy.data.encodings import rate
from neurodeploy.data.parts import encode_lazily, load_splits
from neurodeploy.errors import TrainingError
from neurodeploy.recipe.files import parse_recipe
from neurodeploy.training.augment import Shifts
from neurodeploy.training.run import Run

SHAPE = (2, 5, 7)
TEXT = """
name = "moved"
data = { name = "digits", n_steps = 4 }
network = { layers = [{ neurons = 16 }, { neurons = 10 }], neuron = { threshold = 64, current_decay = 2048, \
voltage_decay = 512, tau_grad = 0.01 } }
sparse = { method = "esl", density = 0.3, every_steps = 4 }
training = { epochs = 2, batch_size = 64, learning_rate = 1e-2, shift = 2 }
"""


def _by_hand(image: np.ndarray, down: int, right: int) -> np.ndarray:
    moved = np.zeros_like(image)
    for channel, y, x in np.ndindex(image.shape):
        if 0 <= y + down < image.shape[1] and 0 <= x + right < image.shape[2]:
            moved[channel, y + down, x + right] = image[channel, y, x]
    return moved


def test_spikes_of_a_moved_image_are_those_of_the_image_moved_before():
    images = np.random.default_rng(0).random((60, *SHAPE))
    shifts = Shifts(3, SHAPE, seed=4, n_samples=60)
    by = shifts.of(1)
    moved = np.stack([_by_hand(image, *own) for image, own in zip(images, by)])
    spikes, expected = (rate(x.reshape(60, -1), 6).transpose(0, 2, 1).astype(np.float32) for x in (images, moved))
    found = shifts.moved(torch.from_numpy(spikes.copy()), torch.arange(60), 1)
    assert np.array_equal(found.numpy(), expected)
    assert len(np.unique(by, axis=0)) > 20


def test_every_distance_occurs_and_follows_from_seed_epoch_and_sample_alone():
    one, other = (Shifts(2, SHAPE, seed, 1000) for seed in (1, 2))
    first, second = one.of(0), one.of(1)
    assert sorted(set(first.ravel().tolist())) == [-2, -1, 0, 1, 2]
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, other.of(0))
    assert np.array_equal(first, Shifts(2, SHAPE, 1, 1000).of(0))
    spikes = (torch.rand(1000, 70, 3) < 0.3).float()
    whole = one.moved(spikes, torch.arange(1000), 5)
    for index in torch.randperm(1000).split(300):
        assert torch.equal(one.moved(spikes[index], index, 5), whole[index])


def test_zero_moves_nothing_and_asks_for_no_image():
    spikes = torch.rand(3, 70, 4)
    assert Shifts(0, (70,), 0, 3).moved(spikes, torch.arange(3), 0) is spikes


@pytest.mark.parametrize("shape", [(70,), (2, 5), (1, 2, 9)])
def test_what_is_no_image_or_too_small_a_one_is_refused(shape):
    with pytest.raises(TrainingError, match=r"training.shift is 2, but the input has the shape .* Set it to 0"):
        Shifts(2, shape, 0, 3)


def test_training_sees_moved_images_and_validation_those_of_the_data(monkeypatch):
    recipe = parse_recipe(TEXT, "test")
    parts = load_splits(recipe.data)
    run = Run(recipe, encode_lazily(parts[0], recipe.data, "train"))
    seen, layers = [], type(run.model).layers

    def record(model, spikes, **how):
        seen.append(spikes.sum().item())
        return layers(model, spikes, **how)

    monkeypatch.setattr(type(run.model), "layers", record)
    run.epoch()
    run.epoch()
    batches = len(seen) // 2
    total = run.spikes[torch.arange(len(run.spikes))].sum().item()
    assert sum(seen[:batches]) < 0.95 * total  # spikes that left the image
    assert sum(seen[:batches]) != sum(seen[batches:])
