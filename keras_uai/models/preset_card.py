"""The model card of a preset: its metadata in plain words."""

import textwrap

_LIMITS = (
    "What it paints into missing pixels is plausible, not what was there. Samples differ where the model is unsure; "
    "none of them is evidence of anything.",
    "It has learned from the data and the damage named below. On other subjects, other framing or other damage it "
    "still paints, and worse.",
)
_TRAINING = {
    "images": "images to learn from",
    "images_seen": "images seen",
    "steps": "updates",
    "minutes": "minutes of training",
    "seed": "seed",
    "hardware": "hardware",
    "versions": "versions",
}


def render(name, metadata, serving=True):
    """The card as Markdown.

    Args:
        name: of the preset.
        metadata: see `save_to_preset`; what it does not say is left out, or named as not said.
        serving: whether there is a SavedModel beside it.
    """
    height, width, channels = metadata["image_shape"]
    kind = {1: "grey", 3: "RGB"}.get(channels, f"{channels}-channel")
    what = (
        f"A {metadata['class']} model of keras_uai for {kind} images of {height} x {width} pixels: it fills in what is "
        f"missing, as often as you ask. {metadata.get('description', '')}"
    )
    parts = [f"# {name}", what.strip(), _use(name, metadata, serving)]
    parts += ["## Limits", *_bullets((*_LIMITS, *metadata.get("limits", ())))]
    parts += ["## Data and damage", _data(metadata)]
    if metadata.get("training"):
        known = {key: metadata["training"].get(key) for key in _TRAINING}
        lines = [
            f"{_TRAINING[k]}: {_value(v)}" for k, v in known.items() if v not in (None, "", {})
        ]
        parts += [
            "## Training",
            *_bullets(lines),
            *_code(metadata["training"].get("command"), "python "),
        ]
    if metadata.get("scores"):
        parts += ["## Scores", *_scores(metadata["scores"])]
    parts += ["## Files", _files(metadata, serving)]
    return "\n\n".join(_wrapped(part) for part in parts) + "\n"


def _use(name, metadata, serving):
    lines = ["```python", f'model = keras_uai.models.{metadata["class"]}.from_preset("{name}")']
    lines += ["samples = model.inpaint(y, num_samples=10)  # (N, 10, H, W, C)", "```"]
    if serving:
        lines += ["", "```sh", f"tools/inpaint --preset={name} PHOTOGRAPH --out=FOLDER", "```"]
    return "\n".join(lines)


def _data(metadata):
    data = metadata.get("data", {})
    text = f"Data: {data.get('name', 'not said')}. Licence: {data.get('licence', 'not said')}."
    if data.get("note"):
        text += f" {data['note']}"
    return f"{text} Damage: `{metadata['measurement']}`. Learned from {metadata['learned_from']}."


def _scores(scores):
    """The table of `tools/evaluate`, and the command that makes it again."""
    from keras_uai.metrics import report  # to the right of models, and needed for this table only

    table = report.table({"description": "", "methods": _with_intervals(scores["methods"])})
    parts = [scores.get("description", ""), table.strip(), *_code(scores.get("reproduce"))]
    return [part for part in parts if part]


def _with_intervals(methods):
    """Scores of a run, which have no interval, as those of an evaluation of no width."""
    return {
        name: {
            **method,
            "scores": {
                key: {"low": score["value"], "high": score["value"], **score}
                for key, score in method["scores"].items()
            },
        }
        for name, method in methods.items()
    }


def _files(metadata, serving):
    sizes = ", ".join(f"{name} {count:,}" for name, count in metadata["parameters"].items())
    text = (
        f"Parameters: {sizes}; kernels are kept in {metadata['kernels']}. `config.json` and `model.weights.h5` are for "
        "Keras; neither holds code or a pickle"
    )
    return text + ("; `serving/1` is for TensorFlow Serving." if serving else ".")


def _value(value):
    if isinstance(value, dict):
        return ", ".join(f"{k} {_value(v)}" for k, v in value.items() if v not in (None, [], {}))
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_value, value))
    if isinstance(value, float):
        return f"{value:.1f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _code(command, program=""):
    return [f"```sh\n{program}{command}\n```"] if command else []


def _bullets(lines):
    return ["\n".join(_filled(f"- {line}", subsequent_indent="  ") for line in lines)]


def _wrapped(text):
    """Prose at 120 columns; tables, lists and code as they are."""
    plain = "\n" not in text and not text.startswith(("#", "|", "-"))
    return _filled(text) if plain else text


def _filled(text, **options):
    """At 120 columns, broken at spaces only: neither `--flags` nor "non-commercial" are taken apart."""
    return textwrap.fill(text, 120, break_on_hyphens=False, break_long_words=False, **options)
