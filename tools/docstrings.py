"""An extension of griffe, for tools/docs: examples of docstrings become blocks of code."""

import re

import griffe


class Examples(griffe.Extension):
    """Fences doctest examples, which Markdown would take for quotations."""

    def on_instance(self, *, obj, **kwargs):
        if obj.docstring:
            obj.docstring.value = re.sub(
                r"(?m)^(>>> .*(?:\n.+)*)", r"```pycon\n\1\n```", obj.docstring.value
            )
