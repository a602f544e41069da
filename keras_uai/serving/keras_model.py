"""Transport to a Keras model in this process: any backend, large images by tiles."""

import numpy as np

from keras_uai.serving.contract import Contract, predicts_mean


class KerasModel:
    """A preset, a run or a saved model, loaded by Keras.

    Args:
        target: string, a preset's name or folder, a run's folder, or a `.keras` file.

    Raises:
        ValueError: if there is no such model.
    """

    concurrency = 1
    integers_by = "serving_default"

    def __init__(self, target):
        from keras_uai import presets

        self.where = target
        self.model = presets.load_model(target).model

    def call(self, signature, inputs, timeout):
        """Returns the outputs of `serving_default` or `describe`. `timeout` has no effect."""
        contract = Contract.of(self.model)
        if signature == "describe":
            return {"contract": np.array([contract.to_json().encode()], dtype=object)}
        values = contract.values
        y, mask, seeds = (inputs[name] for name in ("y", "mask", "seed"))
        y = y if values.is_bounded else values.encode(y)
        samples = self.model.inpaint(y, mask, int(inputs["num_samples"].max()), seeds)
        mean = samples.mean(axis=1)
        if predicts_mean(self.model):
            mean = self.model.predict_mean(y, mask)
        std = samples.std(axis=1, ddof=1) if samples.shape[1] > 1 else np.zeros_like(mean)
        if not values.is_bounded:
            samples, mean, std = values.decode(samples), values.decode(mean), std * values.scale
        return {"samples": samples, "mean": mean, "std": std}

    def close(self):
        self.model = None
