"""What the finished cells measured: gathered from their folders, checked to be comparable, and
written as the text around the tables of `layout`.
"""

from keras_uai.experiment import cells, layout

_SCORES = ("mse", "std", "mse_missing", "psnr", "ssim", "crps", "spread_skill", "mse_of_mean")
_OF_TRAINING = ("images_seen", "steps", "minutes", "parameters", "seed", "versions", "hardware")


def collect(jobs, name, test_name):
    """The numbers of what is finished.

    Args:
        jobs: `{cells.Cell: jobs.Job}`.
        name, test_name: of the evaluations: the common one, and that of the supervised rows.

    Returns:
        `({cell: values}, {cell: why it is left out})`. `values` is a dict of scores (floats), with
        the distance as `"distance"`, `"intervals"` of 95%, what is known of the training, and
        `"test"`, the same of the supervised rows' test split. A baselines cell has such a dict for
        each baseline, by name, and `"made_of"`. Left out is what was measured on other images, or
        with another extractor or number of samples, than the first cell of its column.
    """
    found, left_out, first = {}, {}, {}
    for cell, job in jobs.items():
        scored, training = job.scores(name), job.training()
        if not scored or (cell.row != "baselines" and not training):
            continue
        made_of = {"data": scored["data"], "extractor": scored["extractor"]}
        made_of["num_samples"] = scored["num_samples"]
        known, stamp = first.setdefault(cell.column, (cell, made_of))
        if stamp != made_of:
            left_out[cell] = f"measured on other images, or otherwise, than {known.name}"
            continue
        distance = _distance_name(scored)
        if cell.row == "baselines":
            found[cell] = {n: _scores(scored, n, distance) for n in cells.BASELINES}
        else:
            found[cell] = _scores(scored, "model", distance)
            found[cell] |= {n: training[n] for n in _OF_TRAINING}
            if tested := job.scores(test_name):
                found[cell]["test"] = _scores(tested, "model", distance)
                found[cell]["test"]["images"] = tested["data"]["images"]
        found[cell]["made_of"] = {**made_of, "distance": distance}
    return found, left_out


def _distance_name(scored):
    """`"fid"`, `"frechet_efficientnet_lite0"` or the like; None without an extractor."""
    names = next(iter(scored["methods"].values()))["scores"]
    return next((n for n in names if n == "fid" or n.startswith("frechet_")), None)


def _scores(scored, method, distance):
    scores = scored["methods"][method]["scores"]
    names = {name: name for name in _SCORES if name in scores}
    if distance in scores:
        names["distance"] = distance
    values = {name: scores[key]["value"] for name, key in names.items()}
    limits = {name: [scores[key]["low"], scores[key]["high"]] for name, key in names.items()}
    return {**values, "intervals": limits}


def distance_words(name):
    """`"FID"` for Inception's features only; else `"Fréchet EXTRACTOR"`."""
    if name is None or name == "fid":
        return name and "FID"
    return f"Fréchet {name.removeprefix('frechet_')}"


def markdown(found, left_out, size):
    """Both tables and what they were made of, as Markdown.

    Args:
        found, left_out: of `collect`.
        size: side of the images.
    """
    if not found:
        return "No cell is finished yet.\n"
    made_of = next(iter(found.values()))["made_of"]
    distance = distance_words(made_of["distance"])
    lines = ["### Table 1", "", *layout.table_1(found, distance), ""]
    lines += ["### Table 2", "", *layout.table_2(found, distance), ""]
    tested = {cell: v["test"] for cell, v in found.items() if "test" in v}
    if tested:
        count = next(iter(tested.values()))["images"]
        lines += [
            f"The supervised rows on {count:,} images of the paper's test split (10%), which they "
            "were not trained on either; above they stand on the images of all other rows:",
            "",
            *layout.supervised(tested, distance),
            "",
        ]
    lines += ["### In the paper's order", "", *layout.orders(found), ""]
    trained = {cell: v for cell, v in found.items() if cell.row != "baselines"}
    if trained:
        lines += ["### Behind the numbers", "", *layout.runs(trained), ""]
    lines += [f"- {line}" for line in _notes(found, size, made_of, distance)]
    lines += [f"- Left out: {cell.name}: {why}." for cell, why in left_out.items()]
    return "\n".join(lines) + "\n"


def _notes(found, size, made_of, distance):
    data, extractor = made_of["data"], made_of["extractor"]
    measurements = {
        cells.COLUMNS[cell.column]: v["made_of"]["data"]["measurement"] for cell, v in found.items()
    }
    yield (
        f"Ours: {data['images']:,} {data['split']} images of {data['dataset']} (seed "
        f"{data['seed']}), {size} x {size}, which no model was trained on; "
        f"{made_of['num_samples']} samples an image. MSE of one sample, over all pixels in "
        "[-1, 1]; std over missing pixels. The paper: CelebA at 128 x 128."
    )
    yield "; ".join(f"{column} is {measurement}" for column, measurement in measurements.items())
    if extractor:
        yield (
            f"{distance}: of {data['images']:,} reconstructions and as many clean images; weights "
            f"{extractor['weights']}, resize {extractor['resize']}."
            + ("" if distance == "FID" else " It is no FID, and compares with none.")
        )
    hardware = {
        f"{v['hardware']['processor']}, {v['hardware']['cores']} cores"
        + "".join(f", {name}" for name in v["hardware"]["accelerators"])
        for v in found.values()
        if "hardware" in v
    }
    versions = {
        ", ".join(f"{name} {version}" for name, version in v["versions"].items())
        for v in found.values()
        if "versions" in v
    }
    yield from sorted(hardware)
    yield from sorted(versions)


def record(found, left_out, size):
    """All of it as a dict of JSON values."""
    return {
        "size": size,
        "cells": {cell.name: values for cell, values in found.items()},
        "left_out": {cell.name: why for cell, why in left_out.items()},
        "paper": cells.PAPER,
    }
