"""A stand-in for `keras_uai.fill`: the mean of what is observed, and what is wanted of results."""

import collections

import numpy as np

Result = collections.namedtuple("Result", "best mean std samples report model")


def fill(data, mask=None, num_samples=10, *, never_fill=None, **_):
    """Fills an array, masked array, DataArray or Dataset with its mean; the deviation is 1.

    Sample k is k above the mean. Pixels never to be filled stay as they are.
    """
    if hasattr(data, "data_vars"):
        found = {
            name: fill(array, None, num_samples, never_fill=never_fill)
            for name, array in data.data_vars.items()
        }
        parts = {
            part: type(data)({name: getattr(r, part) for name, r in found.items()})
            for part in ("best", "mean", "std", "samples")
        }
        return Result(**parts, report=Report(), model=None)
    never = np.zeros((), bool) if never_fill is None else np.asarray(never_fill)
    values = np.ma.asanyarray(data.values if hasattr(data, "dims") else data)
    missing = np.ma.getmaskarray(values) | np.isnan(np.ma.getdata(values))
    known = np.ma.getdata(values)[~missing].astype("float64")
    if never.ndim and values.ndim == 4:
        never = never[..., None]
    gaps = missing & ~never
    out = np.where(missing, np.nan, np.ma.getdata(values).astype("float64"))
    samples = np.stack([np.where(gaps, known.mean() + k, out) for k in range(num_samples)])
    std = np.where(gaps, 1.0, np.where(missing, np.nan, 0.0))
    if hasattr(data, "dims"):
        best, std = data.copy(data=samples[0]), data.copy(data=std)
        samples = type(data)(samples, dims=("sample", *data.dims))
    else:
        best = samples[0]
    return Result(best, best, std, samples, Report(), None)


class Report:
    def __str__(self):
        return "method  crps"

    def as_dict(self):
        return {"crps": 1.0}
