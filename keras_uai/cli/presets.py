"""Lists the presets: names, layouts and descriptions.

keras-uai presets
"""


def define():
    """This command has no flags."""


def run(options):
    """Returns a line per preset."""
    from keras_uai import presets

    lines = []
    for name, folder in presets.available().items():
        try:
            about = presets.metadata(folder)
        except (ValueError, OSError) as error:
            about = {"layout": "", "description": f"unreadable: {error}"}
        description = about.get("description") or "no description"
        lines.append(f"{name:30s}{about.get('layout', 'fixed'):7s}{description}")
    return "\n".join(lines) or "There are no presets."
