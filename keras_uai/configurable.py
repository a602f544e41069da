"""Objects that are equal if their configurations are, and the texts that stand for them in flags."""

import ast

_TOO_DEEP = (MemoryError, RecursionError)  # of Python's parser


class Configurable:
    """Base class of immutable objects with a `get_config` of their constructor's arguments.

    Two objects of one class are equal if their configurations are.
    """

    @classmethod
    def from_config(cls, config):
        return cls(**config)

    def __repr__(self):
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.get_config().items())
        return f"{type(self).__name__}({arguments})"

    def __eq__(self, other):
        return type(self) is type(other) and self.get_config() == other.get_config()

    def __hash__(self):
        return hash((type(self).__name__, repr(self.get_config())))


def from_text(text, *classes):
    """Makes the object that a text such as `"Patch(90, 10)"` stands for.

    Args:
        text: String, a call of one of `classes` by its name, with literal arguments.
        classes: The classes that may be called.

    Raises:
        TypeError: if `text` is no such call.
        ValueError: if the constructor refuses a value.
    """
    try:
        call = ast.parse(text.strip(), mode="eval").body
        cls = {cls.__name__: cls for cls in classes}[call.func.id]
        args = [ast.literal_eval(arg) for arg in call.args]
        kwargs = {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}
    except (SyntaxError, AttributeError, LookupError, ValueError, TypeError, *_TOO_DEEP) as error:
        raise TypeError(str(error)) from error
    return cls(*args, **kwargs)
