"""Lists the presets: names, sizes of images, scores, descriptions.

    keras-uai presets

Sizes: "any", or that of aligned images. Scores: the squared error of the best single answer, in
[-1, 1], over missing pixels of images that training did not see; model cards have all scores.
"""


def define():
    """This command has no flags."""


def run(options):
    """Returns a line per preset."""
    from keras_uai import presets

    lines = []
    for name, folder in presets.available().items():
        try:
            lines.append(f"{name:28s}{_about(presets.metadata(folder))}")
        except (ValueError, OSError) as error:
            lines.append(f"{name:28s}unreadable: {error}")
    return "\n".join(lines) or "There are no presets."


def _about(metadata):
    shape = metadata.get("image_shape")
    size = "-" if not shape else "any" if shape[0] is None else f"{shape[0]} x {shape[1]}"
    methods = (metadata.get("scores") or {}).get("methods", {})
    answers = (("model", "mse_missing_of_mean"), ("model, predicted mean", "mse_missing"))
    scores = [methods[m]["scores"].get(name) for m, name in answers if m in methods]
    best = min((score["value"] for score in scores if score), default=None)
    score = "-" if best is None else f"{best:.4f}"
    return f"{size:9s}{score:8s}{metadata.get('description') or 'no description'}"
