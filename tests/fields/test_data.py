"""Users' arrays and xarray objects as stacks, and fills in the same form."""

import numpy as np
import pytest
import xarray

from keras_uai.fields.data import Data

RNG = np.random.default_rng(0)


def gappy(shape, dtype="float32"):
    values = (100 * RNG.random(shape)).astype(dtype)
    if np.dtype(dtype).kind == "f":
        values[RNG.random(shape) < 0.3] = np.nan
    return values


def fill_with(given, value=7.6, samples=None):
    lead = () if samples is None else (samples,)
    return given.filled([np.full((*lead, *a.shape), value) for a in given.arrays])


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "float32", "float64", "float16"])
@pytest.mark.parametrize(
    ("shape", "as_stack"),
    [
        ((6, 7), (1, 6, 7, 1)),
        ((6, 7, 3), (1, 6, 7, 3)),
        ((5, 6, 7), (5, 6, 7, 1)),
        ((5, 6, 7, 2), (5, 6, 7, 2)),
    ],
)
def test_arrays_come_back_in_shape_dtype_and_bits(shape, as_stack, dtype):
    values = gappy(shape, dtype)
    seen = np.isfinite(values) & (RNG.random(shape) < 0.8)
    given = Data(values, seen)
    assert given.arrays[0].shape == as_stack
    filled = fill_with(given)
    assert filled.shape == shape
    assert filled.dtype == values.dtype
    assert filled[seen].tobytes() == values[seen].tobytes()
    expected = 8 if values.dtype.kind in "iu" else np.asarray(7.6, dtype)
    assert (filled[~seen] == expected).all()
    assert fill_with(given, samples=3).shape == (3, *shape)


def test_integers_are_rounded_and_clipped_to_their_range():
    values = np.zeros((4, 4), "uint8")
    given = Data(values, np.eye(4))
    assert fill_with(given, 300.0).max() == 255
    assert fill_with(given, -3.0).max() == 0


def test_masked_arrays_and_nan_are_missing_and_never_filled_values_stay():
    values = np.ma.masked_less(np.arange(16.0).reshape(4, 4), 4)
    values[3, 3] = np.nan
    never = np.zeros((4, 4), bool)
    never[3] = True
    given = Data(values, never_fill=never)
    assert given.observed[0].sum() == 8
    filled = fill_with(given)
    assert (filled[0] == 7.6).all()
    np.testing.assert_array_equal(filled[3], np.ma.getdata(values)[3])
    std = given.deviations([np.ones((1, 4, 4, 1))])
    assert np.isnan(std[3]).all()
    assert (std[0] == 1).all()
    assert (std[1] == 0).all()


def test_lists_may_differ_in_size():
    arrays = [gappy((6, 7)), gappy((9, 4))]
    filled = fill_with(Data(arrays), samples=2)
    assert [f.shape for f in filled] == [(2, 6, 7), (2, 9, 4)]


@pytest.mark.parametrize(
    ("dims", "roles"),
    [
        (("time", "lat", "lon"), ("time", "lat", "lon", None)),
        (("lat", "lon", "time"), ("time", "lat", "lon", None)),
        (("lon", "lat"), (None, "lat", "lon", None)),
        (("band", "y", "x"), (None, "y", "x", "band")),
        (("time", "level", "y", "x"), ("time", "y", "x", "level")),
        (("a", "b", "c"), (None, "b", "c", "a")),
    ],
)
def test_data_arrays_keep_dimensions_coordinates_and_attributes(dims, roles):
    sizes = dict(zip(dims, (5, 6, 4, 3), strict=False))
    coords = {d: np.arange(n) for d, n in sizes.items()}
    if "time" in dims:
        coords["time"] = np.datetime64("2020-01-01", "ns") + coords["time"] * np.timedelta64(1, "D")
    field = xarray.DataArray(
        gappy(tuple(sizes.values())), coords, dims, name="sst", attrs={"units": "K"}
    )
    given = Data(field)
    time, rows, columns, band = roles
    expected = [sizes.get(d, 1) for d in (time, rows, columns, band)]
    assert list(given.arrays[0].shape) == expected
    filled = fill_with(given)
    assert filled.dims == dims
    assert filled.attrs == field.attrs
    assert filled.dtype == field.dtype
    xarray.testing.assert_identical(filled.where(field.notnull()), field)
    assert float(filled.where(field.isnull()).max()) == pytest.approx(7.6)
    assert fill_with(given, samples=2).dims == ("sample", *dims)


def test_variables_of_a_dataset_are_filled_together_and_others_are_kept():
    a, b = (xarray.DataArray(gappy((4, 5, 6), d), dims=("time", "y", "x")) for d in ("f4", "f8"))
    dataset = xarray.Dataset({"a": a, "b": b, "depth": (("y", "x"), np.ones((5, 6)))})
    given = Data(dataset)
    assert given.arrays[0].shape == (4, 5, 6, 2)
    filled = fill_with(given)
    assert filled["a"].dtype == "float32"
    assert filled["b"].dtype == "float64"
    xarray.testing.assert_identical(filled["depth"], dataset["depth"])
    xarray.testing.assert_identical(filled["b"].where(b.notnull()), dataset["b"])


def test_times_may_be_unsorted():
    days = np.array(["2020-01-05", "2020-01-01", "2020-01-03"], "datetime64[ns]")
    field = xarray.DataArray(gappy((3, 4, 4)), {"time": days}, ("time", "y", "x"))
    given = Data(field)
    np.testing.assert_array_equal(given.times[0], [0, 2, 4])
    np.testing.assert_array_equal(given.arrays[0][0, ..., 0], field.values[1])
    filled = fill_with(given)
    xarray.testing.assert_identical(filled.where(field.notnull()), field)


def test_context_with_gaps_brings_its_mask():
    elevation = gappy((6, 7))
    context = Data(gappy((5, 6, 7)), context=elevation).contexts[0]
    assert context.shape == (1, 6, 7, 2)
    np.testing.assert_array_equal(context[0, ..., 1], np.isfinite(elevation))
    assert np.isfinite(context).all()


def _repeated():
    time = np.array(["2020-01-01", "2020-01-01"], "datetime64[ns]")
    return xarray.DataArray(gappy((2, 4, 4)), {"time": time}, ("time", "y", "x"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.full((4, 4), np.nan),), "must have observed values"),
        ((np.array([[1.0, np.inf], [0, 1]]),), "must be finite"),
        ((np.zeros((2, 3, 4, 5, 6)),), "must have shape"),
        ((np.zeros(5),), "must have shape"),
        ((np.zeros((4, 4), "complex64"),), "integers or floats"),
        ((np.array([["a"]]),), "integers or floats"),
        ((np.zeros((4, 4)), np.ones((3, 4))), "`mask` must have the shape"),
        ((np.zeros((4, 4)), None, np.ones((9, 9))), "`never_fill` must have the shape"),
        ((np.zeros((4, 4)), None, None, np.ones((9, 9))), "`context` must have shape"),
        (([],), "must hold an array"),
        (([np.zeros((4, 4)), np.zeros((4, 4, 2))],), "equally many channels"),
        (([np.zeros((4, 4))], [None, None]), "lists as long as"),
        ((_repeated(),), "Times must differ"),
        ((xarray.Dataset({"n": ("t", [1.0])}),), "variable of floats"),
    ],
)
def test_wrong_data_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Data(*arguments)
