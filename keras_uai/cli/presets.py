"""Lists the presets: names, layouts and descriptions.

keras-uai presets
"""


def define():
    """This command has no flags."""


def run(options):
    """Returns a line per preset."""
    from keras_uai import presets

    lines = []
    for name, description in presets.names().items():
        layout = presets.metadata(name).get("layout", "fixed")
        lines.append(f"{name:30s}{layout:7s}{description}")
    return "\n".join(lines) or "There are no presets."
