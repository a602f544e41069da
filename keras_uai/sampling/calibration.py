"""Spread calibration from damaged images: samples spread as far as their mean is wrong."""

import numpy as np
from keras import ops

from keras_uai import checks, measurements, random, rng_streams
from keras_uai.batches import checked
from keras_uai.sampling.noise import draw_latents
from keras_uai.sampling.samplers import decode, sample_keys
from keras_uai.sampling.tiling import pad_to_multiple

MIN_INFLATION, MAX_INFLATION, MAX_TRIES = 0.1, 10.0, 12
#: Pixels of the samples that are computed at a time: about half a gigabyte of activations.
PIXELS = 2**20
#: Largest inflation and largest standard error of the ratio (as a share of it) of a fit without a
#: warning, and fewest images: of 10, the standard error is known within a quarter (one over the root
#: of twice their number less one). Inflations of trained models measured 1.2 to 2.2.
LARGE_INFLATION, LARGE_ERROR, FEW_IMAGES = 2.5, 0.05, 10
#: Fewest updates: the recommended configuration's samples spread as far as they err after about 900.
FEW_STEPS = 1000


def calibrate_spread(model, dataset, images=512, ratio=None, spread_skill=1.0, batch_size=64):
    """Fits the inflation of the model's sampler.

    A tenth of the observed pixels is hidden, and samples are compared with the values observed
    there. The ratio of their spread to the error of their mean (spread-skill) is 1 where
    uncertainty is right. With few hidden pixels the observation is nearly as dense as at inference,
    so that the ratio is that of missing pixels. Of a model that was trained with
    `split_by_measurement`, what a fresh mask misses is hidden instead: gaps like the data's own.
    A model that was trained with `context_dropout`
    must also be right far from any observed pixel: there 0.8 of the pixels are hidden, then all of
    them, and the geometric mean of both ratios counts.

    Args:
        model: An `InpaintingModel` whose generator has `predicts_mean=True`.
        dataset: Images as `fit` takes them, arrays or batches, of one image size; clean images are
            not used. Training images will do. What batches with "seen" do not show is hidden.
        images: Largest number of images used.
        ratio: Share of the observed pixels that is hidden. `None`: see above.
        spread_skill: The ratio to reach. Less makes samples smoother and overconfident.
        batch_size: Largest number of samples computed at a time.

    Returns:
        Dict: `inflation`, the `spread_skill` reached, its `standard_error` over images (infinite
        for one image), the numbers of `images` and `hidden_pixels` behind it, and `warnings`, a
        list of sentences: empty, unless the inflation is above 2.5, the standard error above 5% of
        the ratio, the images fewer than 10, or the model had less than 1000 updates. They are also
        issued as a warning.

    Raises:
        ValueError: if the generator predicts no mean, nothing can be hidden, or no inflation from
            0.1 to 10 reaches the ratio. The sampler is then unchanged.
    """
    sampler = model.sampler
    if not model.generator.predicts_mean:
        raise ValueError(
            "`calibrate_spread` needs a generator with predicts_mean=True, as UAI.recommended has. "
            f"Received: predicts_mean={model.generator.predicts_mean!r}"
        )
    if not spread_skill > 0:
        raise ValueError(
            f"`spread_skill` must be positive. Received: spread_skill={spread_skill!r}"
        )
    if ratio is not None and not 0 < ratio < 1:
        raise ValueError(f"`ratio` must be in (0, 1). Received: ratio={ratio!r}")
    dropout = getattr(model, "context_dropout", 0.0)
    ratio = (0.8 if dropout else 0.1) if ratio is None else ratio
    y, mask, given = _observations(model, dataset, checks.check_integer("", "images", images, 1))
    keys = random.key(model.seed, rng_streams.CALIBRATION, np.arange(len(y)))
    rows = max(1, min(batch_size, PIXELS // (y.shape[1] * y.shape[2])) // 2)
    ratios, hidden_pixels = [], 0
    by_measurement = float(getattr(model, "split_by_measurement", 0.0) > 0.0)
    for everything in (0.0, 1.0) if dropout and given is None else (0.0,):
        seen = given
        if seen is None:
            seen = measurements.split_mask(
                model.measurement, mask, keys, (ratio, ratio), by_measurement, everything
            )
            seen = ops.convert_to_numpy(seen)
        hidden = mask - seen
        if not hidden.any():
            raise ValueError(
                "Nothing was hidden: there are too few images, or too few observed pixels. "
                f"Received: {len(y)} images, ratio={ratio!r}"
            )
        hidden_pixels += int(hidden.sum())
        ratios.append(_SpreadSkill(model, y, seen, hidden, rows))
    inflation = sampler.inflation
    for _ in range(MAX_TRIES):  # the spread is nearly linear in the inflation
        reached = float(np.prod([f(inflation) for f in ratios]) ** (1.0 / len(ratios)))
        wanted = inflation * spread_skill / max(reached, 1e-3)
        if abs(wanted - inflation) < 0.005 * inflation:
            break
        inflation = float(np.clip(wanted, MIN_INFLATION, MAX_INFLATION))
    else:
        raise ValueError(
            f"No inflation from {MIN_INFLATION:g} to {MAX_INFLATION:g} gives samples a spread of "
            f"{spread_skill:g} times their error; after little training they hardly differ. Train "
            "longer, or use the model as it is: its sampler is unchanged. "
            f"Received: {reached:.2g} times at inflation={inflation:.3g}"
        )
    model.sampler = sampler.with_inflation(inflation)
    error = _relative_error(ratios)
    found = _warnings(
        inflation, error, len(y), hidden_pixels, int(ops.convert_to_numpy(model.step))
    )
    if found:
        checks.warn("The spread calibration is uncertain. " + " ".join(found))
    return {
        "inflation": inflation,
        "spread_skill": reached,
        "standard_error": reached * error,
        "images": len(y),
        "hidden_pixels": hidden_pixels,
        "warnings": found,
    }


def _relative_error(ratios):
    """The standard error over images of the geometric mean of ratios, as a share of it.

    To first order `log sqrt(sum(v) / sum(e))` is a sum over images of half of
    `v_i / sum(v) - e_i / sum(e)`, which are independent and add up to 0.
    """
    parts = [f.variances / f.variances.sum() - f.errors / f.errors.sum() for f in ratios]
    parts, count = 0.5 * np.mean(parts, axis=0), len(parts[0])
    return float(np.sqrt(count / (count - 1) * np.square(parts).sum())) if count > 1 else np.inf


def _warnings(inflation, error, images, hidden_pixels, steps):
    """Sentences on what makes a calibration uncertain."""
    sentences = {
        f"An inflation of {inflation:.3g} was needed, above {LARGE_INFLATION}: samples hardly "
        "differ by themselves, and what is inflated may be noise.": inflation > LARGE_INFLATION,
        f"The fit rests on {hidden_pixels:,} hidden pixels of {images:,} image(s); the standard "
        f"error of the ratio is {error:.0%}. Use at least {FEW_IMAGES} images, and enough for "
        f"{LARGE_ERROR:.0%}.": error > LARGE_ERROR or images < FEW_IMAGES,
        f"The model was trained for {steps:,} updates, less than {FEW_STEPS:,}.": steps < FEW_STEPS,
    }
    return [sentence for sentence, true in sentences.items() if true]


class _SpreadSkill:
    """The ratio of spread to error on hidden pixels as a function of the inflation.

    The first stage does not depend on the inflation and is computed once. Two samples per image.
    """

    def __init__(self, model, y, seen, hidden, rows):
        self.model = model
        self.y = y
        self.seen = seen
        self.shown = np.where(seen > 0.5, y, 0.0).astype("float32")
        self.hidden = np.broadcast_to(hidden, y.shape)
        self.keys = ops.convert_to_numpy(sample_keys(checks.per_image_seeds(0, len(y)), 2))
        self.parts = [slice(i, i + rows) for i in range(0, len(y), rows)]
        first = model.inference.compiled("calibration_first", self._first)
        self.first = [
            [ops.convert_to_numpy(v) for v in first(self.shown[p], seen[p], self.keys[p])]
            for p in self.parts
        ]

    def __call__(self, inflation):
        second = self.model.inference.compiled("calibration_second", self._second)
        variances, errors = [], []
        for part, (images, mean) in zip(self.parts, self.first, strict=True):
            arguments = (
                images,
                mean,
                self.shown[part],
                self.seen[part],
                self.keys[part],
            )
            pair = ops.convert_to_numpy(second(*arguments, np.float32(inflation)))
            hidden = self.hidden[part]
            terms = (
                0.5 * np.square(pair[:, 0] - pair[:, 1]),
                np.square(pair.mean(axis=1) - self.y[part]),
            )
            for found, term in zip((variances, errors), terms, strict=True):
                found.append((term * hidden).sum(axis=(1, 2, 3), dtype="float64"))
        self.variances, self.errors = np.concatenate(variances), np.concatenate(errors)
        # The mean of two samples has 1 + 1/2 times the variance as its expected squared error.
        return float(np.sqrt(1.5 * self.variances.sum() / max(self.errors.sum(), 1e-12)))

    def _first(self, y, mask, keys):
        generator = self.model.inference_generator
        features = generator.observe(y, mask)
        images = decode(generator, features, keys, y, None, draw_latents)
        return images, ops.repeat(features["mean"], 2, axis=0)

    def _second(self, images, mean, y, mask, keys, inflation):
        model = self.model
        y, mask = ops.repeat(y, 2, axis=0), ops.repeat(mask, 2, axis=0)
        flat = ops.reshape(keys, (-1, 2))
        images = ops.convert_to_tensor(images)  # `refine` changes arrays in place
        generator = model.inference_generator
        images = model.sampler.refine(generator, images, mean, y, mask, flat, inflation)
        images = model.composite(model.values.clip(images), y, mask)
        return ops.reshape(images, (-1, 2, *images.shape[1:]))


def _observations(model, dataset, images):
    """Returns the first observations of a data set, float32 arrays of one size.

    They are y, its mask, and the part of the mask that is seen, or None where this is not given.
    """
    dataset, found, count = checked(dataset, model), [], 0
    if isinstance(dataset, dict):  # of arrays
        dataset = [{k: v[:images] for k, v in dataset.items() if v is not None}]
    for data in dataset:
        batch = model.unpack(data)
        names = [name for name in ("y", "mask", "seen") if name in batch]
        part = [ops.convert_to_numpy(batch[name])[: images - count] for name in names]
        part = [pad_to_multiple(v, model.generator.stride) for v in part]
        if found and part[0].shape[1:] != found[0][0].shape[1:]:
            raise ValueError(
                "`dataset` must hold images of one size; datasets.load(..., crop_size=…) makes "
                f"crops. Received: {found[0][0].shape[1:3]} and {part[0].shape[1:3]}"
            )
        found.append(part)
        count += len(part[0])
        if count >= images:
            break
    if not count:
        raise ValueError("`dataset` must not be empty. Received: no batch")
    parts = [np.concatenate(part).astype("float32") for part in zip(*found, strict=True)]
    return parts if len(parts) == 3 else [*parts, None]
