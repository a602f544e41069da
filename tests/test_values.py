import keras
import numpy as np
import pytest
from keras import ops

from keras_uai import values


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_integers_come_back_exactly_and_are_never_zero(dtype):
    """Oracle: the definition v / (max / 2) - 1, for every value of the dtype."""
    scaling = values.ValueScaling(dtype)
    v = np.arange(np.iinfo(dtype).max + 1).astype(dtype)
    y = scaling.encode(v)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, v / (np.iinfo(dtype).max / 2) - 1.0, atol=1e-7)
    assert (y != 0).all()
    assert (y.min(), y.max()) == (-1.0, 1.0)
    back = scaling.decode(y)
    assert back.dtype == np.dtype(dtype)
    assert np.array_equal(back, v)


def test_decoding_integers_clips_and_rounds():
    found = values.ValueScaling().decode(np.array([-3.0, -1.0, 0.001, 1.0, 9.0], "float32"))
    assert found.tolist() == [0, 0, 128, 255, 255]


@pytest.mark.parametrize("dtype", ["float32", "int16"])
def test_fit_uses_observed_values_only(dtype):
    """Oracle: NumPy's mean and standard deviation of what is observed, channel by channel."""
    rng = np.random.default_rng(0)
    data = (rng.normal(size=(5, 6, 7, 2)) * [30.0, 900.0] + [280.0, -5000.0]).astype(dtype)
    mask = rng.random((5, 6, 7, 2)) < 0.6
    given = data if dtype == "int16" else np.where(mask, data, np.float32(np.nan))
    for found in (
        values.ValueScaling.fit(given, mask if dtype == "int16" else None),
        values.ValueScaling.fit(list(np.ma.masked_array(data, ~mask))),
    ):
        for c in range(2):
            seen = data[..., c][mask[..., c]].astype("float64")
            np.testing.assert_allclose(found.location[c], seen.mean(), rtol=1e-10)
            np.testing.assert_allclose(found.scale[c], 2.0 * seen.std(), rtol=1e-10)
        back = found.decode(found.encode(data))
        assert back.dtype == np.dtype(dtype)
        np.testing.assert_allclose(back, data, rtol=1e-5)


def test_floats_are_not_clipped_and_nan_stays():
    scaling = values.ValueScaling("float32", [10.0], [2.0])
    y = scaling.encode(np.array([[10.0], [1000.0], [np.nan]]))
    assert y[:2].tolist() == [[0.0], [495.0]]
    assert np.isnan(y[2, 0])
    assert scaling.decode(y)[1, 0] == 1000.0
    assert scaling.clip(y)[1, 0] == 495.0
    assert values.ValueScaling().clip(np.float32([-2.0, 0.5])).tolist() == [-1.0, 0.5]


def test_constant_channels_get_a_scale():
    found = values.ValueScaling.fit(np.full((1, 4, 4, 1), 7.5, "float32"))
    assert (found.location, found.scale) == ([7.5], [1.0])


@pytest.mark.parametrize(
    "scaling",
    [
        values.ValueScaling(),
        values.ValueScaling("uint16"),
        values.ValueScaling("float32", [1.0, 2.0, -3.0], [4.0, 5.0, 6.0]),
        values.ValueScaling("int16", 20.0, 400.0),
    ],
)
def test_tensors_give_what_arrays_give(scaling):
    rng = np.random.default_rng(1)
    v = rng.integers(0, 256, (2, 3, 4, 3)).astype(scaling.dtype)
    y = scaling.encode(ops.convert_to_tensor(v))
    np.testing.assert_allclose(ops.convert_to_numpy(y), scaling.encode(v), atol=1e-6)
    back = ops.convert_to_numpy(scaling.decode(y))
    assert back.dtype == scaling.dtype
    np.testing.assert_allclose(back, v, rtol=1e-6)


def test_configuration_round_trip():
    scaling = values.ValueScaling("float32", [1.0, 2.0], [3.0, 4.0])
    config = keras.saving.serialize_keras_object(scaling)
    assert values.get(config) == scaling
    assert values.get(scaling) is scaling
    assert values.get(None) == values.get("uint8") == values.ValueScaling()
    assert scaling != values.ValueScaling("float32", [1.0, 2.0], [3.0, 5.0])
    assert len({scaling, values.get(config)}) == 1


def test_other_bit_depths_of_a_bounded_model():
    assert values.ValueScaling().of("uint16") == values.ValueScaling("uint16")
    floats = values.ValueScaling("float32", 1.0, 2.0)
    assert floats.of("uint16") is floats


@pytest.mark.parametrize(
    "call",
    [
        lambda: values.ValueScaling("bool"),
        lambda: values.ValueScaling("float32", 0.0, 0.0),
        lambda: values.ValueScaling("float32", np.nan, 1.0),
        lambda: values.ValueScaling.fit([]),
        lambda: values.ValueScaling.fit(np.full((1, 2, 2, 1), np.nan)),
        lambda: values.get(3),
    ],
)
def test_errors_name_what_was_received(call):
    with pytest.raises(ValueError, match=r"must.*Received:"):
        call()
