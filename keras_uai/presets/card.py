"""Model card of a preset, written from its metadata."""

import re
import textwrap

_CARD = """\
# {name}

A {class} model of keras_uai for {kind} images of {size}. {layout} {description}

```python
model = keras_uai.models.{class}.from_preset("{name}")
samples = model.inpaint(y, num_samples=10)  # (N, 10, H, W, C)
```

## Limits

{limits}

## Data and damage

Data: {data}. Licence: {licence}. {note} Damage: `{measurement}`. Learned from {learned_from}.

{training}

{scores}

## Files

Parameters: {sizes}; kernels are stored in {kernels}. `config.json` and `model.weights.h5` are for \
Keras; neither holds code or a pickle. {serving}
"""
_LIMITS = (
    "Filled pixels are plausible, not true: a reconstruction is no evidence. Samples differ where "
    "the model is uncertain.",
    "The model was trained on the data and the damage below. Results are worse for other subjects, "
    "other framing and other damage.",
)
_LAYOUTS = {
    "fixed": "Its images are aligned and of one size: files of another size are fitted with their "
    "aspect kept, and the commands say so.",
    "any": "They keep their own resolution.",
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
    height, width, channels = metadata["image_shape"]
    data = metadata.get("data", {})
    text = _CARD.format(
        **{key: metadata[key] for key in ("class", "measurement", "learned_from", "kernels")},
        name=name,
        kind={1: "grey", 3: "RGB"}.get(channels, f"{channels}-channel"),
        size="any size" if height is None else f"{height} x {width} pixels",
        layout=_LAYOUTS[metadata["layout"]],
        description=re.sub(r"([^.])$", r"\1.", metadata.get("description", "")),
        limits="\n".join(f"- {line}" for line in (*_LIMITS, *metadata.get("limits", ()))),
        data=data.get("name", "not given"),
        licence=data.get("licence", "not given"),
        note=data.get("note", ""),
        training=_training(metadata.get("training") or {}),
        scores=_scores(metadata.get("scores")),
        sizes=", ".join(f"{name} {count:,}" for name, count in metadata["parameters"].items()),
        serving="`serving/1` is for TensorFlow Serving." if serving else "",
    )
    parts = [part for part in text.split("\n\n") if part.strip()]
    return "\n\n".join(_wrapped(part.strip()) for part in parts) + "\n"


def _training(training):
    lines = [
        f"- {words}: {_value(training[key])}"
        for key, words in _TRAINING.items()
        if training.get(key) not in (None, "", {})
    ]
    command = training.get("command")
    parts = ["\n".join(lines), f"```sh\npython {command}\n```" if command else ""]
    return "\n\n".join(["## Training", *parts]) if lines or command else ""


def _scores(scores):
    """The table of tools/evaluate, and the command that reproduces it."""
    if not scores:
        return ""
    from keras_uai.metrics import report

    table = report.table({"description": "", "methods": scores["methods"]}).strip()
    command = scores.get("reproduce")
    parts = [scores.get("description", ""), table, f"```sh\n{command}\n```" if command else ""]
    return "\n\n".join(["## Scores", *parts])


def _value(value):
    if isinstance(value, dict):
        return ", ".join(f"{k} {_value(v)}" for k, v in value.items() if v not in (None, [], {}))
    if isinstance(value, float):
        return f"{value:.1f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _wrapped(text):
    """Wraps prose and lists at spaces only: neither `--flags` nor hyphenated words are broken."""
    if text.startswith(("#", "|", "```")):
        return text
    is_list = text.startswith("- ")
    lines = text.split("\n") if is_list else [" ".join(text.split())]
    wrapper = textwrap.TextWrapper(100, break_on_hyphens=False, break_long_words=False)
    wrapper.subsequent_indent = "  " if is_list else ""
    return "\n".join(map(wrapper.fill, lines))
