"""Samples in any form that a user has them: ``Samples``, files, folders, runs, recipes, arrays, or a torch data set."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurodeploy.errors import DataError, FileError, UsageError
from neurodeploy.files.arrays import MOST_BYTES
from neurodeploy.network import Network
from neurodeploy.network.activity import SAMPLES_IN_THREE_LINES, Events, Samples, is_samples_file, load_samples
from neurodeploy.recipe.files import load_recipe
from neurodeploy.run_folder import CHECKPOINT_FILE, RECIPE_FILE, STATE_FILE, TEST_FILE

AnySamples: TypeAlias = Any
"""What ``as_samples`` takes."""


def as_samples(
    thing: AnySamples,
    labels: ArrayLike | None = None,
    *,
    network: Network | None = None,
    n_samples: int | None = None,
    n_steps: int | None = None,
    dt_s: float | None = None,
    duration_s: float | None = None,
    time_unit: str | None = None,
    sensor: Sequence[int] | None = None,
    axes: str | None = None,
) -> Samples:
    """Return the samples that ``thing`` is, holds or names.

    Args:
        thing: ``Samples``; a file that ``save_samples`` wrote; a run's folder or a recipe (their test part); a file or a
            folder of events or arrays (``docs/data.md``); an array of spikes (samples, steps, channels), or a dictionary of
            arrays as an ``.npz`` file holds them; or a data set with ``len`` and ``[i]``, as those of torch and tonic, that
            gives pairs of a sample and a label. A sample is an array (steps, channels), or events with the fields t
            (microseconds), x, y and p.
        labels: the class of each sample, in place of those in ``thing``; not of files.
        network: the network they are for. Its input gives their name, decides the order of axes and the sensor where these
            stay open, and its step the length of steps.
        n_samples: only so many, from the first on.
        n_steps, dt_s, duration_s: steps of a sample, length of a step, and the part of each recording that is read.
        time_unit: of times in arrays: s, ms, us or ns.
        sensor: shape of the sensor, ``(channels,)`` or ``(polarities, height, width)``.
        axes: order of the axes of spikes: NTC (samples, steps, channels), TNC or NCT.

    Raises:
        DataError: for damaged files, what does not fit the network, and what stays open.
        FileError: for damaged files of samples.
        UsageError: for anything else.
    """
    from neurodeploy.data.reading import Reading

    reading = Reading(
        n_steps=n_steps,
        dt_s=dt_s,
        duration_s=duration_s,
        time_unit=time_unit,
        sensor=None if sensor is None else tuple(sensor),
        axes=axes,
    )
    samples = _samples(thing, labels, reading, network)
    if network is not None:
        samples = _fitted(samples, network)
        _tell_impossible_labels(samples, network)
    if n_samples is None:
        return samples
    if not 1 <= n_samples <= samples.n_samples:
        where = thing if isinstance(thing, str | Path) else samples.name or "there"
        raise DataError(f"data: asked for {n_samples} samples, {where} has {samples.n_samples}")
    return samples.take(0, n_samples)


def _samples(thing: AnySamples, labels: ArrayLike | None, reading: Any, network: Network | None) -> Samples:
    if isinstance(thing, Samples):
        return thing
    if isinstance(thing, str | Path):
        if labels is not None:
            raise UsageError(
                "data: labels are given beside a file; put them into the file, or read it with data convert --labels"
            )
        return _stored(thing, reading, network)
    from neurodeploy.data.fields import understood
    from neurodeploy.data.own import of_understood
    from neurodeploy.data.reading import wanted_by

    given = None if labels is None else np.asarray(labels)
    if isinstance(thing, Mapping):
        if network is not None and len(network.inputs) > 1 and {i.name for i in network.inputs} <= set(thing):
            return _each_input(thing, given, network)
        table = {str(name): _array(value) for name, value in thing.items()}
    elif (
        isinstance(thing, np.ndarray)
        or not (hasattr(thing, "__len__") and hasattr(thing, "__getitem__"))
        or _is_tensor(thing)
    ):
        table = {"spikes": _array(thing)}
    else:
        return _of_pairs(thing, given, reading, network)
    meant = understood(table, "the array", labels=given, time_unit=reading.time_unit, axes=reading.axes)
    return of_understood(meant, "the array", reading, wanted_by(network)).samples


def _stored(thing: str | Path, reading: Any, network: Network | None) -> Samples:
    """Return the samples in a file, a folder, a run's folder or a recipe."""
    path = Path(thing)
    if path.is_dir() and any((path / name).exists() for name in (TEST_FILE, RECIPE_FILE, CHECKPOINT_FILE, STATE_FILE)):
        return load_samples(path / TEST_FILE)
    if path.suffix == ".toml" or not path.exists():
        return _of_recipe(thing)
    if not (path.is_dir() or path.is_file()):
        raise DataError(f"data: {thing} is a device or a pipe, no file of samples; copy what it gives into a file")
    if path.suffix == ".npz" and (is_samples_file(path) or not zipfile.is_zipfile(path)):
        return load_samples(path)
    from neurodeploy.data.own import SUFFIXES, is_own, read_own
    from neurodeploy.data.reading import wanted_by

    if not is_own(path):
        raise DataError(
            f"data: {thing} is neither a file of samples or events ({', '.join(SUFFIXES)}), a folder of events, a run's "
            f"folder nor a recipe. What makes a file of samples:\n{SAMPLES_IN_THREE_LINES}"
        )
    return read_own(path, reading, wanted_by(network)).samples


def _of_recipe(recipe: str | Path) -> Samples:
    from neurodeploy.data.parts import encode, load_splits

    suffix = Path(recipe).suffix
    if suffix and suffix != ".toml":
        from neurodeploy.data.own import SUFFIXES

        if suffix in SUFFIXES:
            raise FileError(f"read: there is no file {recipe}")
    checked = load_recipe(recipe).data
    return encode(load_splits(checked)[2], checked, "test")


def _fitted(samples: Samples, network: Network) -> Samples:
    """Return samples under the name of the network's input, where each has but one and the channels agree."""
    if len(samples.inputs) == len(network.inputs) == 1:
        (name, events), given = next(iter(samples.inputs.items())), network.inputs[0]
        if name == "input" != given.name and events.size == given.size:
            shapes = {given.name: samples.shapes[name]} if name in samples.shapes else {}
            return replace(samples, inputs={given.name: events}, shapes=shapes)
    return samples


def _tell_impossible_labels(samples: Samples, network: Network) -> None:
    """Warn of labels that no neuron of the output stands for."""
    fits = {i.name: i.size for i in network.inputs} == {name: e.size for name, e in samples.inputs.items()}
    if samples.labels is None or len(network.outputs) != 1 or not fits:
        return
    from neurodeploy.data.window import tell

    n_classes = network.population(network.outputs[0].population).size
    beyond = (samples.labels >= n_classes).reshape(samples.n_samples, -1).any(axis=1)
    if beyond.any():
        tell(
            f"{int(beyond.sum())} of {samples.n_samples} samples have a label of {n_classes} or more (up to "
            f"{int(samples.labels.max())}), but the network tells the classes 0 to {n_classes - 1}: they count as wrong"
        )


def _each_input(thing: Mapping[str, Any], labels: NDArray[Any] | None, network: Network) -> Samples:
    """Return samples of a network with several inputs, from an array (samples, steps, channels) for each by its name."""
    graded = {given.name: given.graded for given in network.inputs}
    arrays = {name: _array(thing[name]) for name in graded}
    for name, array in arrays.items():
        if array.ndim < 3:
            raise DataError(
                f"data: spikes of the input '{name}' have the shape {array.shape}; give samples, steps, channels"
            )
    own = thing.get("labels") if labels is None else labels
    return Samples(
        inputs={
            name: Events.from_dense(a.reshape(*a.shape[:2], -1), graded=graded[name]) for name, a in arrays.items()
        },
        labels=None if own is None else np.asarray(own),
        name="the arrays",
        shapes={name: array.shape[2:] for name, array in arrays.items()},
    )


def _is_tensor(thing: Any) -> bool:
    return hasattr(thing, "__array__") and hasattr(thing, "shape")


def _array(thing: Any) -> NDArray[Any]:
    """Return anything that numpy takes as an array of numbers."""
    try:
        array = np.asarray(thing)
    except (TypeError, ValueError, RuntimeError) as error:
        raise UsageError(
            f"data: {type(thing).__name__} is no array ({error}); give one, of a tensor: tensor.detach().cpu().numpy()"
        ) from error
    if array.dtype.hasobject:
        raise UsageError(
            "data: samples are Samples, a file, a folder, a run's folder, a recipe, an array (samples, steps, channels), a "
            f"dictionary of arrays, or a data set of pairs, not {type(thing).__name__}"
        )
    return array


def _of_pairs(thing: Any, labels: NDArray[Any] | None, reading: Any, network: Network | None) -> Samples:
    """Return the samples of a data set that gives pairs of a sample and a label."""
    from neurodeploy.data.binning import binned
    from neurodeploy.data.fields import Dense, labels_in, understood, whole
    from neurodeploy.data.own import of_understood
    from neurodeploy.data.reading import wanted_by

    kind, count = type(thing).__name__, len(thing)
    if not count:
        raise DataError(f"data: the {kind} holds no samples")
    parts: list[Any] = []
    classes: list[Any] = []
    n_bytes = 0
    for i in range(count):
        item = thing[i]
        if not isinstance(item, tuple | list) or len(item) != 2:
            raise UsageError(
                f"data: sample {i} of the {kind} is a {type(item).__name__}; give pairs of a sample and a label"
            )
        parts.append(_array(item[0]))
        classes.append(_array(item[1]))
        n_bytes += parts[-1].nbytes
        if n_bytes > MOST_BYTES:
            raise DataError(
                f"data: the first {i + 1} samples of the {kind} take {n_bytes:,} bytes, at most {MOST_BYTES:,}"
            )
    if len({label.shape for label in classes}) > 1:
        raise DataError(f"data: the {kind} gives labels of different shapes; give one class a sample, or one a step")
    own = labels_in(np.stack(classes), f"the {kind}") if labels is None else labels
    wanted = wanted_by(network)
    if parts[0].dtype.names:
        tables = [{name: part[name] for name in part.dtype.names or ()} for part in parts]
        lists = [
            understood(t, f"sample {i} of the {kind}", time_unit=reading.time_unit or "us")
            for i, t in enumerate(tables)
        ]
        rows = [(f"sample {i} of the {kind}", meant.recordings[0]) for i, meant in enumerate(lists)]  # type: ignore[union-attr]
        return binned(rows, own, reading, wanted, f"the {kind}").samples
    shapes = sorted({part.shape for part in parts})
    if len(shapes) > 1:
        raise DataError(
            f"data: samples of the {kind} differ in shape: {shapes[0]} and {shapes[-1]}; bring them to the same steps"
        )
    spikes = whole(np.stack(parts), f"samples of the {kind}")
    axes = reading.axes
    return of_understood(Dense(spikes=spikes, labels=own, axes=axes), f"the {kind}", reading, wanted).samples
