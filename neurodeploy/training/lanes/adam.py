"""Adam for stored weights: one pass over weight, gradient and both moments, with torch's formula in float32."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurodeploy.files.loops import compiled

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class AdamSettings:
    """As in ``torch.optim.Adam``; ``decoupled`` shrinks weights as AdamW does, apart from the gradient."""

    learning_rate: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8
    weight_decay: float = 0.0
    decoupled: bool = False


class Adam:
    """State of the stored weights of one layer: moments float32 ``(n_stored,)``, and the number of steps."""

    def __init__(self, n_stored: int, settings: AdamSettings = AdamSettings()) -> None:
        self.settings = settings
        self.mean, self.square = np.zeros((2, n_stored), np.float32)
        self.steps = 0

    def update(self, latent: Floats, gradient: Floats) -> None:
        """Change the weights in place."""
        s = self.settings
        self.steps += 1
        size = s.learning_rate / (1 - s.betas[0] ** self.steps)
        root = np.sqrt(1 - s.betas[1] ** self.steps)
        numbers = (size, root, *s.betas, s.epsilon, s.weight_decay, 1 - s.learning_rate * s.weight_decay)
        _update(latent, gradient, self.mean, self.square, numbers, s.decoupled)

    def move(self, place: NDArray[np.int64]) -> None:
        """Follow a rewiring: ``place`` as ``Synapses.move`` returns it; new connections start with zero moments."""
        self.mean, self.square = (
            np.where(place >= 0, moment[place], np.float32(0)).astype(np.float32) for moment in (self.mean, self.square)
        )


@compiled(nogil=True, error_model="numpy")
def _update(latent: Any, gradient: Any, mean: Any, square: Any, numbers: Any, decoupled: Any) -> None:
    (size, root, beta_1, beta_2, epsilon, decay, shrink) = numbers
    one, two = np.float32(1 - beta_1), np.float32(1 - beta_2)
    keep, step, low = np.float32(beta_2), np.float32(-size), np.float32(epsilon)
    part, by, less = np.float32(root), np.float32(decay), np.float32(shrink)
    for i in range(latent.size):
        weight, slope = latent[i], gradient[i]
        if decoupled:
            weight = weight * less
        else:
            slope = slope + by * weight
        mean[i] = mean[i] + one * (slope - mean[i])
        square[i] = square[i] * keep + two * slope * slope
        latent[i] = weight + step * (mean[i] / (np.sqrt(square[i]) / part + low))
