"""The contract of a served model: shapes, units and limits."""

import dataclasses
import json

from keras_uai.checks import check_integer
from keras_uai.values import ValueScaling


@dataclasses.dataclass(frozen=True)
class Limits:
    """Limits of an export, written into its graph. Requests beyond them are invalid arguments.

    Args:
        max_samples: integer, the largest `num_samples`. Default: 64.
        max_pixels: integer, the most pixels of an image, read from its header before it is decoded.
            Default: 4 Mi.
        max_answer_pixels: integer, the most pixels of all samples of a request. Default: 32 Mi.
    """

    max_samples: int = 64
    max_pixels: int = 2**22
    max_answer_pixels: int = 2**25

    def __post_init__(self):
        for name, value in vars(self).items():
            check_integer("Limits", name, value, 1)


@dataclasses.dataclass(frozen=True)
class Contract:
    """The requests that a model takes, as its signature `describe` says.

    Args:
        image_shape: `(H, W, C)`; H and W are None if the model takes any size.
        mask_channels: integer, 1 or C.
        values: `ValueScaling` of the model.
        tau: float, the mark of missing pixels in float images without a mask.
        stride: integer; `origin` of tiles must hold multiples of it.
        margin: integer, pixels around a tile on which its answer depends. (The push-pull fill of a
            hole that is wider than this depends on more.)
        limits: `Limits`, or None for a model without limits.
    """

    image_shape: tuple
    mask_channels: int
    values: ValueScaling
    tau: float
    stride: int
    margin: int
    limits: Limits | None

    @classmethod
    def of(cls, model, limits=None):
        """Returns the contract of an `InpaintingModel`."""
        measurement, generator = model.measurement, model.inference_generator
        channels, tau = measurement.mask_channels, float(measurement.tau)
        space = (generator.stride, generator.receptive_radius)
        return cls(tuple(model.image_shape), channels, model.values, tau, *space, limits)

    @property
    def fixed_size(self):
        """The `(H, W)` of a model of a fixed layout, or None."""
        return None if None in self.image_shape[:2] else self.image_shape[:2]

    def to_json(self):
        limits = self.limits and vars(self.limits)
        return json.dumps({**vars(self), "values": self.values.get_config(), "limits": limits})

    @classmethod
    def from_json(cls, text):
        fields = json.loads(text)
        fields["image_shape"] = tuple(fields["image_shape"])
        fields["values"] = ValueScaling(**fields["values"])
        fields["limits"] = fields["limits"] and Limits(**fields["limits"])
        return cls(**fields)


def predicts_mean(model):
    """Whether a model has a mean of its own, so that it need not be taken over samples."""
    return model.inference_generator.predicts_mean or not model.stochastic
