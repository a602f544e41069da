"""Model card of a preset, written from its metadata."""

import textwrap

_COLUMNS = 100
_LIMITS = (
    "Missing pixels are filled with plausible content, not with the true content. Samples differ "
    "where the model is uncertain; none of them is evidence.",
    "The model has learned from the data and the damage named below. On other subjects, other "
    "framing or other damage its fills are worse.",
)
_LAYOUTS = {
    "fixed": "Its images are aligned and of one size: files of another size are fitted with their "
    "aspect kept, and the commands say so.",
    "any": "It fills images of any size at their own resolution.",
}
_TRAINING = {
    "images": "training images",
    "images_seen": "images seen",
    "steps": "updates",
    "minutes": "minutes of training",
    "seed": "seed",
    "hardware": "hardware",
    "versions": "versions",
}


def render(name, metadata, serving=True):
    """Returns the model card as Markdown.

    Args:
        name: string; the preset's name.
        metadata: dict; see `presets.save`. Missing entries are left out.
        serving: bool; whether the preset has a SavedModel. Default: True.
    """
    parts = [f"# {name}", _summary(metadata), _usage(name, metadata, serving)]
    parts += ["## Limits", _bullets((*_LIMITS, *metadata.get("limits", ())))]
    parts += ["## Data and damage", _data(metadata)]
    training = metadata.get("training") or {}
    if training:
        known = {words: training.get(key) for key, words in _TRAINING.items()}
        lines = [f"{w}: {_value(v)}" for w, v in known.items() if v not in (None, "", {})]
        command = training.get("command")
        parts += ["## Training", _bullets(lines), *_code(command and f"python {command}")]
    if metadata.get("scores"):
        parts += ["## Scores", *_scores(metadata["scores"])]
    parts += ["## Files", _files(metadata, serving)]
    return "\n\n".join(_wrapped(part) for part in parts) + "\n"


def _summary(metadata):
    height, width, channels = metadata["image_shape"]
    kind = {1: "grey", 3: "RGB"}.get(channels, f"{channels}-channel")
    size = "any size" if height is None else f"{height} x {width} pixels"
    text = f"A {metadata['class']} model of keras_uai for {kind} images of {size}."
    return f"{text} {_LAYOUTS[metadata['layout']]} {metadata.get('description', '')}".strip()


def _usage(name, metadata, serving):
    lines = ["```python", f'model = keras_uai.models.{metadata["class"]}.from_preset("{name}")']
    lines += ["samples = model.inpaint(y, num_samples=10)  # (N, 10, H, W, C)", "```"]
    if serving:
        lines += ["", "```sh", f"tools/inpaint --preset={name} PHOTOGRAPH --out=FOLDER", "```"]
    return "\n".join(lines)


def _data(metadata):
    data = metadata.get("data", {})
    text = f"Data: {data.get('name', 'not given')}. Licence: {data.get('licence', 'not given')}."
    note = f" {data['note']}" if data.get("note") else ""
    return f"{text}{note} Damage: `{metadata['measurement']}`. Learned from {metadata['learned_from']}."


def _scores(scores):
    """The table of tools/evaluate, and the command that reproduces it."""
    from keras_uai.metrics import report

    table = report.table({"description": "", "methods": scores["methods"]})
    parts = [scores.get("description", ""), table.strip(), *_code(scores.get("reproduce"))]
    return [part for part in parts if part]


def _files(metadata, serving):
    sizes = ", ".join(f"{name} {count:,}" for name, count in metadata["parameters"].items())
    text = (
        f"Parameters: {sizes}; kernels are stored in {metadata['kernels']}. `config.json` and "
        "`model.weights.h5` are for Keras; neither holds code or a pickle."
    )
    return f"{text} `serving/1` is for TensorFlow Serving." if serving else text


def _value(value):
    if isinstance(value, dict):
        return ", ".join(f"{k} {_value(v)}" for k, v in value.items() if v not in (None, [], {}))
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_value, value))
    if isinstance(value, float):
        return f"{value:.1f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _code(command):
    return [f"```sh\n{command}\n```"] if command else []


def _bullets(lines):
    return "\n".join(_filled(f"- {line}", subsequent_indent="  ") for line in lines)


def _wrapped(text):
    plain = "\n" not in text and not text.startswith(("#", "|", "-"))
    return _filled(text) if plain else text


def _filled(text, **options):
    """Wraps at spaces only: neither `--flags` nor hyphenated words are broken."""
    return textwrap.fill(text, _COLUMNS, break_on_hyphens=False, break_long_words=False, **options)
