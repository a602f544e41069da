"""FieldModel: the recommended model on the residuals of stacks of frames to their low-rank fills."""

import keras
import numpy as np
from scipy import ndimage

from keras_uai import measurements
from keras_uai.fields.low_rank import LowRank
from keras_uai.models import UAI, recommended

#: Distances in pixels to the nearest seen value at which the spread is fitted.
DISTANCES = (1.0, 3.0, 9.0, 25.0)


@keras.saving.register_keras_serializable("keras_uai")
class FieldModel(UAI):
    """Fills frames from themselves, from frames near in time, and from the whole stack.

    The model sees, in order: the C values of a frame, less the stack's low-rank fill where there is
    one; that fill, its deviation, and the difference to a fill of a higher rank; for each neighbour
    in time its C residuals and its mask; further context. Only the first C are filled: the others
    are never missing.

    Args:
        settings: Dict: `channels` (C), `ranks` (of the fills, empty for none), `window` (number of
            frames seen, odd), `context` (number of further channels), `location` and `scale` (per
            channel, of the values), `residual_scale`, and `spread` (see `spread_by_distance`).
        **kwargs: Of `UAI`.
    """

    def __init__(self, settings, **kwargs):
        self.settings = dict(settings)
        super().__init__(**kwargs)

    @classmethod
    def create(cls, settings, seed=0, steps=None):
        """Builds and compiles a model in the recommended configuration."""
        channels = input_channels(settings)
        masks = np.ones((2, 64, 64, channels), "uint8")  # batches say what is hidden
        masks[1, 16:48, 16:48, : settings["channels"]] = 0
        measurement = measurements.Empirical(masks)
        arguments = recommended.arguments(
            measurement, {"seed": seed, "values": "float32", "sample_every": 2}
        )
        model = cls(
            settings,
            image_shape=(None, None, channels),
            measurement=measurement,
            **arguments,
        )
        model.compile(**recommended.compile_arguments(measurement, steps))
        return model

    def get_config(self):
        return {"settings": self.settings, **super().get_config()}


def input_channels(settings):
    """Returns the number of channels that a model with these settings sees."""
    c, ranks = settings["channels"], len(settings["ranks"])
    fills = c * (ranks + 1) if ranks else 0
    return c + fills + 2 * c * (settings["window"] - 1) + settings["context"]


def spread_by_distance(seen, factors):
    """Returns factors of the samples' deviations from their mean, float32 `(H, W, C)`.

    Args:
        seen: bool `(H, W, C)`.
        factors: One at each of `DISTANCES`; between them the logarithm of the distance to the
            nearest seen value counts.
    """
    maps = [ndimage.distance_transform_edt(~known) for known in np.moveaxis(seen, -1, 0)]
    distance = np.where(seen.any(axis=(0, 1)), np.stack(maps, axis=-1), DISTANCES[-1])
    distance = np.log(np.clip(distance, DISTANCES[0], DISTANCES[-1]))
    return np.interp(distance, np.log(DISTANCES), factors).astype("float32")


class Inputs:
    """Makes a model's inputs from a stack of which some values are hidden.

    Args:
        stack: A `Stack` in network units.
        seen: bool `(T, H, W, C)`: the values that may be used.
        settings: See `FieldModel`.
        fills: `LowRank`s whose scores are known. Default: they are fitted to the stack.
    """

    def __init__(self, stack, seen, settings, fills=None):
        self.stack = stack
        self.seen = seen
        self.settings = settings
        if fills is None:
            ranks = settings["ranks"]
            self.fills = [LowRank.fit(stack.values, seen, stack.time, rank) for rank in ranks]
        else:
            self.fills = [fill.at(stack.values, seen) for fill in fills]

    def base(self, t, window=(slice(None), slice(None))):
        """Returns what residuals of frame `t` are to, `(h, w, C)`."""
        return self.fills[0].frame(t, window) if self.fills else np.float32(0.0)

    def __call__(self, t, window=(slice(None), slice(None))):
        """Returns `(values, observed, seen)` of frame `t`: `(h, w, channels)`, float32 and bools.

        `values` holds those that are observed; `seen` is False where these are hidden.
        """
        stack, scale = self.stack, self.settings["residual_scale"]

        def residual(i, known):
            known = known[i][window]
            error = (stack.values[i][window] - self.base(i, window)) / scale
            return np.where(known, error, np.float32(0)), known

        values, observed = residual(t, stack.observed)
        parts = []
        if self.fills:
            fill = self.base(t, window)
            parts += [fill, self.fills[0].deviation(t, window) / scale]
            parts += [(other.frame(t, window) - fill) / scale for other in self.fills[1:]]
        reach = self.settings["window"] // 2
        for i in [*range(t - reach, t), *range(t + 1, t + reach + 1)]:
            if 0 <= i < len(stack.values):
                error, known = residual(i, self.seen)
                parts += [error, known]
            else:
                parts += [np.zeros_like(values)] * 2
        if stack.context is not None:
            parts.append(stack.context[min(t, len(stack.context) - 1)][window])
        values = np.concatenate([values, *parts], axis=-1, dtype="float32")
        extra = np.ones((*values.shape[:2], values.shape[-1] - observed.shape[-1]), bool)
        seen = self.seen[t][window]
        return values, np.concatenate([observed, extra], -1), np.concatenate([seen, extra], -1)
