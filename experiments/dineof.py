"""Fills a stack by pyDINEOF, a peer, in an environment of its own: `pip install pydineof`.

    python experiments/dineof.py runs/fields/ndvi_given.npz runs/fields/ndvi_dineof.npy

Reads what `experiments/fields.py` has written, `values` `(T, H, W)` with NaN and `days`; the next
run of that program scores the result. It does not import keras_uai.
"""

import sys

import numpy as np
import pydineof
import xarray


def main(source, target):
    with np.load(source) as given:
        values, days = given["values"].astype("float64"), given["days"]
    shown = np.isfinite(values).any(axis=(1, 2))  # it takes no empty frame
    centre, scale = np.nanmean(values), np.nanstd(values)
    time = np.datetime64("2000-01-01", "ns") + np.round(days).astype("timedelta64[D]")
    field = xarray.DataArray(
        np.exp((values - centre) / scale), {"time": time}, ("time", "y", "x")
    )  # it takes logarithms
    area = xarray.DataArray(np.isfinite(values).any(axis=0), dims=("y", "x"))
    modes = max(1, min(5, int(shown.sum()) - 7))
    found = pydineof.run_2D(field[shown], area, nev=modes, ncv=modes + 6, seed=0)
    filled = np.full(values.shape, centre)
    filled[shown] = np.log(found.transpose("time", "y", "x").values) * scale + centre
    np.save(target, np.where(np.isfinite(filled), filled, centre).astype("float32"))


if __name__ == "__main__":
    main(*sys.argv[1:])
