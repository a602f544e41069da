"""Fields with gaps: arrays, rasters and stacks in time, filled by what their own gaps teach."""

from keras_uai.fields.filling import Result, fill
from keras_uai.fields.model import FieldModel

__all__ = ["FieldModel", "Result", "fill"]
