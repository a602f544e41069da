"""Fills four sets of fields with gaps of their own, and scores the fills on values kept out.

    python experiments/fields.py --data=FOLDER --set=ndvi --minutes=25 --out=runs/fields

FOLDER holds `s2_ndvi`, `landsat7_slcoff`, `alboran` and `soil_moisture` (`fields.tar` of the data
that `fields.md` describes). Values are kept out before `keras_uai.fill` sees the data; it hides
others for its own training and report. Prints a table and writes NAME.json, NAME.png and NAME.keras.
Where OUT holds NAME_dineof.npy (`dineof.py`), that fill is scored, too; so is astropy's where it is
installed. With --minutes=0 the model NAME.keras is used again.
"""

import glob
import json
import os
import time

import numpy as np
from absl import app, flags

import keras_uai
from keras_uai.fields import report as reports
from keras_uai.fields.stack import Stack

SETS = ("ndvi", "landsat", "alboran", "soil_moisture")

flags.DEFINE_string("data", None, "Folder of the sets.", required=True)
flags.DEFINE_enum("set", "ndvi", SETS, "Set to fill.")
flags.DEFINE_float("minutes", 25.0, "Minutes of training at most.", 0.0)
flags.DEFINE_integer("window", 1, "Number of times seen together.", 1)
flags.DEFINE_integer("num_samples", 20, "Samples.", 2)
flags.DEFINE_integer("seed", 0, "Seed of what is kept out, of training and of samples.")
flags.DEFINE_string("out", "runs/fields", "Folder of the results.")
FLAGS = flags.FLAGS


def ndvi(folder, rng):
    """NDVI of 68 dates; clouds of partly cloudy dates are laid over the 29 clear frames."""
    values = np.load(f"{folder}/s2_ndvi/NDVI.npy").astype("float32")
    clouds = np.load(f"{folder}/s2_ndvi/CLM.npy") > 0
    with open(f"{folder}/s2_ndvi/timestamps.json", encoding="utf-8") as file:
        dates = np.array(json.load(file), "datetime64[s]")
    share = clouds.mean(axis=(1, 2, 3))
    partly = np.flatnonzero((share > 0) & (share < 1))
    kept_out = np.zeros_like(clouds)
    for t in np.flatnonzero(share == 0):
        kept_out[t] = clouds[rng.choice(partly)]
    return values, ~clouds, kept_out, np.ones_like(clouds), dates


def landsat(folder, rng):
    """Three scenes with stripes; the stripes, shifted by half their period, are kept out.

    Bands end a pixel apart at the stripes: there a band of 0 is missing, too.
    """
    from PIL import Image
    from scipy import ndimage

    scenes = []
    for path in sorted(glob.glob(f"{folder}/landsat7_slcoff/*.png")):
        values = np.asarray(Image.open(path))
        labels, _ = ndimage.label((values == 0).all(axis=-1))
        size = np.bincount(labels.ravel())
        size[0] = 0
        missing = (size >= 300)[labels]
        overlap = [(np.roll(missing, d, 0) & missing).sum() for d in range(20, 50)]
        half = (20 + int(np.argmax(overlap))) // 2
        kept_out = np.roll(missing, half, axis=0) & ~missing
        edge = ndimage.binary_dilation(missing, np.ones((3, 3)))[..., None]
        observed = ~missing[..., None] & ~(edge & (values == 0))
        kept_out = kept_out[..., None] & observed
        parts = (values, observed, kept_out, np.ones(values.shape, bool))
        scenes.append((*(part[None] for part in parts), np.zeros(1)))
    return scenes


def alboran(folder, rng):
    """Sea-surface temperature of ten days; clouds of another day are laid over each."""
    from scipy.io import netcdf_file

    with netcdf_file(f"{folder}/alboran/alboranSST_small.nc", mmap=False) as file:
        values = np.array(file.variables["SST"][:], "float32")[..., None]
        sea = np.array(file.variables["mask"][:])[None, ..., None] > 0.5
        time_ = np.array(file.variables["time"][:])
    observed = (values < 9000) & sea
    missing = sea & ~observed
    kept_out = np.zeros_like(observed)
    for t in range(len(values)):
        for _ in range(50):
            kept_out[t] = missing[rng.integers(len(values))] & observed[t]
            if 0.05 < kept_out[t].sum() / observed[t].sum() < 0.6:
                break
        else:
            kept_out[t] = False
    return values, observed, kept_out, np.broadcast_to(sea, values.shape), time_


def soil_moisture(folder, rng):
    """Soil moisture of Eurasia, January to August; gaps of another month are kept out of each."""
    import xarray

    paths = sorted(glob.glob(f"{folder}/soil_moisture/*.nc"))
    fields = []
    for path in paths:
        with xarray.open_dataset(path) as dataset:
            field = dataset["sm"].sortby("lat", ascending=False)
            fields.append(field.sel(lat=slice(72, 30), lon=slice(0, 140)).values)
    values = np.concatenate(fields).astype("float32")[..., None]
    observed = np.isfinite(values)
    land = np.broadcast_to(observed.any(axis=0), observed.shape)
    missing, kept_out = land & ~observed, np.zeros_like(observed)
    for t in range(len(values)):
        for _ in range(50):
            kept_out[t] = missing[rng.integers(len(values))] & observed[t]
            if 0.05 < kept_out[t].sum() / observed[t].sum() < 0.5:
                break
        else:
            kept_out[t] = False
    return values, observed, kept_out, land, np.arange(len(values)) * 30.4


def truncated_svd(values, seen, ranks=(1, 2, 3, 4, 5, 6)):
    """Iterates truncated SVDs (as DINEOF does); the rank is chosen on 3% of the values."""
    count = len(values)
    s, y = seen.reshape(count, -1), values.reshape(count, -1).astype("float64")
    s, y = s[:, s.any(axis=0)], y[:, s.any(axis=0)]
    chosen = s & (np.random.default_rng(0).random(s.shape) < 0.03)
    errors = {}

    def fill(shown, rank):
        mean = y[shown].mean()
        x = np.where(shown, y - mean, 0.0)
        for _ in range(100):
            u, d, v = np.linalg.svd(x, full_matrices=False)
            new = np.where(shown, x, (u[:, :rank] * d[:rank]) @ v[:rank])
            moved, x = np.sqrt(np.square(new - x).mean()), new
            if moved < 1e-4:
                break
        return x + mean

    for rank in (r for r in ranks if r < count):
        errors[rank] = np.square(fill(s & ~chosen, rank) - y)[chosen].mean()
    rank = min(errors, key=errors.get)
    out = np.zeros((count, seen[0].size))
    out[:, seen.reshape(count, -1).any(axis=0)] = fill(s, rank)
    return out.reshape(values.shape), rank


def rivals(stack, seen):
    """Yields `(name, fill of frame t)` of methods outside of the package, where installed."""
    if len(stack.values) > 3:
        filled, rank = truncated_svd(stack.values, seen)
        yield f"truncated SVD, rank {rank}", lambda t: filled[t].astype("float32")
    dineof = f"{FLAGS.out}/{FLAGS.set}_dineof.npy"
    if os.path.exists(dineof):
        theirs = np.load(dineof)[..., None]
        yield "pyDINEOF", lambda t: theirs[t]
    try:
        from astropy.convolution import Gaussian2DKernel, interpolate_replace_nans
    except ImportError:
        return

    def astropy(t):
        frame = np.where(seen[t], stack.values[t], np.nan)
        found = [frame[..., c] for c in range(frame.shape[-1])]
        for width in (2, 4, 8, 16, 32):
            kernel = Gaussian2DKernel(width)
            found = [interpolate_replace_nans(f, kernel) if np.isnan(f).any() else f for f in found]
        found = np.stack(found, -1)
        return np.where(np.isnan(found), np.nanmean(frame), found).astype("float32")

    yield "astropy", astropy


def main(_):
    rng = np.random.default_rng(FLAGS.seed)
    found = globals()[FLAGS.set](FLAGS.data, rng)
    scenes = found if isinstance(found, list) else [found]
    os.makedirs(FLAGS.out, exist_ok=True)
    start = time.monotonic()
    masks = [observed & ~kept_out for _, observed, kept_out, _, _ in scenes]
    model = None if FLAGS.minutes else f"{FLAGS.out}/{FLAGS.set}.keras"
    arguments = {
        "minutes": FLAGS.minutes,
        "model": model,
        "window": FLAGS.window,
        "seed": FLAGS.seed,
    }
    if isinstance(found, list):
        result = keras_uai.fill(
            [values[0] for values, *_ in scenes],
            [mask[0] for mask in masks],
            FLAGS.num_samples,
            **arguments,
        )
        means, samples = result.mean, result.samples
        samples = [drawn[:, None] for drawn in samples]
        means = [mean[None] for mean in means]
    else:
        import xarray

        values, _, _, fillable, times = scenes[0]
        values = np.where(masks[0], values, np.nan)[..., 0]
        np.savez(f"{FLAGS.out}/{FLAGS.set}_given.npz", values=values, days=_days(times))
        field = xarray.DataArray(values, {"time": times}, ("time", "y", "x"))
        result = keras_uai.fill(
            field, None, FLAGS.num_samples, never_fill=~fillable[..., 0], **arguments
        )
        means, samples = [result.mean.values[..., None]], [result.samples.values[..., None]]
    minutes = (time.monotonic() - start) / 60
    if FLAGS.minutes:
        result.model.save(f"{FLAGS.out}/{FLAGS.set}.keras")
    means, samples = ([np.nan_to_num(one) for one in part] for part in (means, samples))
    stacks = [
        Stack(values.astype("float32"), observed, fillable, _days(times))
        for values, observed, _, fillable, times in scenes
    ]
    kept_out = [one for _, _, one, *_ in scenes]
    fills = {
        "keras_uai.fill": [
            lambda t, m=mean, s=drawn: (m[t], s[:, t])
            for mean, drawn in zip(means, samples, strict=True)
        ]
    }
    for stack, mask in zip(stacks, masks, strict=True):
        for name, fill in [
            *reports.classical(stack, mask),
            *rivals(stack, mask),
        ]:
            fills.setdefault(name, []).append(lambda t, fill=fill: (fill(t), None))
    methods = {
        name: reports.score(stacks, kept_out, functions)
        for name, functions in fills.items()
        if len(functions) == len(stacks)
    }
    table = reports.Report(
        methods=methods,
        hidden_values=int(sum(k.sum() for _, _, k, *_ in scenes)),
        frames=sum(int(k.any(axis=(1, 2, 3)).sum()) for _, _, k, *_ in scenes),
        best=min(methods, key=lambda name: methods[name]["rmse"]),
        notes=[f"{minutes:.1f} minutes in all; fill's own report:", str(result.report)],
        training=result.report and result.report["training"],
    )
    print(table)
    with open(f"{FLAGS.out}/{FLAGS.set}.json", "w", encoding="utf-8") as file:
        json.dump({**table, "own": result.report}, file, indent=1, default=float)
    _figure(f"{FLAGS.out}/{FLAGS.set}.png", scenes, masks, means, samples)


def _days(times):
    """Returns times as float64 days since the first."""
    times = times - times[0]
    return times / np.timedelta64(1, "D") if times.dtype.kind == "m" else times.astype("float64")


def _figure(path, scenes, masks, means, samples):
    """Draws the frame with most values kept out: seen, mean, two samples, deviation, truth."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    i = int(np.argmax([k.sum() for _, _, k, *_ in scenes]))
    values, observed, kept_out, fillable, _ = scenes[i]
    t = int(np.argmax(kept_out.sum(axis=(1, 2, 3))))
    never = ~fillable[t]
    std = samples[i][:, t].std(axis=0, ddof=1)
    panels = {
        "seen": np.where(masks[i][t], values[t], np.nan),
        "mean": means[i][t],
        "sample 1": samples[i][0, t],
        "sample 2": samples[i][1, t],
        "deviation": np.where(masks[i][t], 0, std),
        "truth": np.where(observed[t], values[t], np.nan),
    }
    figure, axes = pyplot.subplots(1, 6, figsize=(24, 4.4))
    known = values[t][observed[t]].astype("float64")
    low, high = np.quantile(known, (0.01, 0.99))
    for axis, (name, image) in zip(axes, panels.items(), strict=True):
        image = np.where(never, np.nan, image.astype("float64"))
        if image.shape[-1] == 3:
            image = image if name != "deviation" else 4 * image
            axis.imshow(
                np.nan_to_num(np.clip((image - low * (name != "deviation")) / (high - low), 0, 1))
            )
        else:
            limits = {} if name == "deviation" else {"vmin": low, "vmax": high}
            axis.imshow(image[..., 0], interpolation="nearest", **limits)
        axis.set_title(name)
        axis.set_axis_off()
    figure.tight_layout()
    figure.savefig(path, dpi=70)


if __name__ == "__main__":
    app.run(main)
