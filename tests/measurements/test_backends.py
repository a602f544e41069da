"""Graphs, XLA, data sets and the other backend draw the same bits."""

import numpy as np
import pytest
import tensorflow as tf

from keras_uai import random
from keras_uai.measurements import split_mask
from tests import forks
from tests.measurements.cases import ALL, MORE, checksums
from tests.measurements.test_base import ids, masks
from tests.testing import images, run_on_jax, same_bits


@pytest.mark.parametrize("measurement", ALL, ids=ids)
def test_graphs_datasets_and_xla_draw_the_same_bits(measurement):
    expected = masks(measurement, 12)

    def draw(index):
        return measurement.masks(index, 16, 24)

    same_bits(tf.function(draw)(tf.range(12)), expected)
    same_bits(tf.function(draw, jit_compile=True)(tf.range(12)), expected)
    unknown = tf.function(draw, input_signature=[tf.TensorSpec([None], tf.int64)])
    same_bits(unknown(tf.range(12, dtype=tf.int64)), expected)
    dataset = tf.data.Dataset.range(12).batch(5).map(draw, num_parallel_calls=2)
    same_bits(np.concatenate(list(dataset.as_numpy_iterator())), expected)


def check_f_t_and_splits(jit_compile):
    """Asserts that functions compute the bits of eager calls."""
    x, keys = tf.constant(images(4, (16, 24, 3))), random.key(3, np.arange(4))
    for measurement in MORE:

        def damage(x, keys, measurement=measurement):
            mask = measurement.sample(keys, 16, 24)
            y = measurement(x, mask)
            seen = split_mask(measurement, mask, keys, (0.1, 0.5), 0.5, 0.1)
            return y, measurement.recover(y), measurement.split(mask, keys, 0.3), seen

        compiled = tf.function(damage, jit_compile=jit_compile)(x, keys)
        for a, b in zip(compiled, damage(x, keys), strict=True):
            same_bits(a, b)


def test_f_t_and_splits_in_graphs():
    check_f_t_and_splits(jit_compile=False)


def test_f_t_and_splits_in_xla():
    """In a process that ends: TensorFlow never frees what XLA compiled, 50 MB a function here."""
    code = f"from {__name__} import check_f_t_and_splits\ncheck_f_t_and_splits(jit_compile=True)"
    done = forks.run("-c", code)
    assert not done.returncode, done.stderr


def test_jax_draws_the_same_masks_and_splits():
    """In an environment without TensorFlow."""
    code = "from tests.measurements.cases import checksums\nprint(*checksums())"
    assert run_on_jax(code).split() == [str(crc) for crc in checksums()]
