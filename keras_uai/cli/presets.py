"""Lists the presets: names, layouts and descriptions.

keras-uai presets
"""


def define():
    """This command has no flags."""


def run(options):
    """Returns a line per preset."""
    from keras_uai import presets

    lines = [
        f"{name:30s}{presets.metadata(name).get('layout', 'fixed'):7s}{description}"
        for name, description in presets.names().items()
    ]
    return "\n".join(lines) or "There are no presets."
