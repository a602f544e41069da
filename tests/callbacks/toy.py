"""A model that trains at once and samples noise around what it has learnt."""

import keras
import numpy as np

from keras_uai.measurements import DropPixel


class Toy(keras.Model):
    """`inpaint` fills in a learnt grey plus noise that is a function of each image's seed."""

    measurement = DropPixel(0.5)
    noise = 0.1

    def __init__(self):
        super().__init__()
        self.grey = self.add_weight(shape=(), initializer="zeros", name="grey")

    def call(self, y):
        return y * 0 + self.grey

    def inpaint(self, y, mask=None, num_samples=10, seed=0):
        seeds = np.asarray(seed) if np.ndim(seed) else seed + np.arange(len(y))
        size = y.shape[1:]
        drawn = [
            [np.random.default_rng((int(s), k)).normal(size=size) for k in range(num_samples)]
            for s in seeds
        ]
        filled = np.clip(float(self.grey.numpy()) + self.noise * np.array(drawn), -1, 1)
        return np.where(np.asarray(mask)[:, None] > 0.5, y[:, None], filled).astype("float32")
