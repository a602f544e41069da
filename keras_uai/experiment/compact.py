"""Arguments of a network written on one line: `width=48,stem=2,fill=true,attention_size=none`."""

import ast
import inspect

_WORDS = {"true": True, "false": False, "none": None}


def parse(text, flag):
    """The dict that `text` stands for.

    Args:
        text: `name=value,name=value,...`; values are numbers, words, `true`, `false`, `none`, or
            lists of these in parentheses or brackets. Dicts pass through.
        flag: name of the flag the text was given to, for messages.

    Raises:
        ValueError: the text is not of that form, or gives an argument twice.
    """
    if isinstance(text, dict):
        return dict(text)
    result = {}
    for part in _split(text or "", flag):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not name.isidentifier() or not value:
            raise ValueError(
                f"--{flag} is written name=value,name=value with no space around the commas, e.g. "
                f"--{flag}=width=48,attention_size=none. Received: {part!r} in --{flag}={text}"
            )
        if name in result:
            raise ValueError(f"--{flag} gives {name!r} twice. Received: --{flag}={text}")
        result[name] = _value(value)
    return result


def render(arguments):
    """The text that `parse` makes `arguments` of."""
    return ",".join(f"{name}={_text(value)}" for name, value in arguments.items())


def complete(arguments, function, flag, leave_out=()):
    """All arguments of `function` in the order of its signature: its defaults, and `arguments` over
    them.

    Args:
        arguments: dict.
        function: a class or function all of whose arguments but those of `leave_out` have defaults.
        flag: as in `parse`.
        leave_out: arguments that are not the flag's business.

    Raises:
        ValueError: an argument is unknown, or has a value of another kind than its default.
    """
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(function).parameters.items()
        if name not in leave_out and parameter.kind is not inspect.Parameter.VAR_KEYWORD
    }
    for name, value in arguments.items():
        if name not in defaults:
            raise ValueError(
                f"--{flag}: {function.__name__} has no argument {name!r}; it has "
                f"{', '.join(defaults) or 'none beside'}. Received: --{flag}={render(arguments)}"
            )
        if not _same_kind(value, defaults[name]):
            raise ValueError(
                f"--{flag}: {name} is {_text(defaults[name])} by default and takes a value of that "
                f"kind. Received: {name}={_text(value)}"
            )
    return {**defaults, **arguments}


def _split(text, flag):
    """The parts of `text` between commas outside of brackets."""
    parts, depth, start = [], 0, 0
    for position, letter in enumerate(text):
        depth += (letter in "([") - (letter in ")]")
        if letter == "," and depth == 0:
            parts.append(text[start:position])
            start = position + 1
    if depth:
        raise ValueError(f"--{flag}: a bracket is not closed. Received: --{flag}={text}")
    return [part for part in [*parts, text[start:]] if part.strip()]


def _value(text):
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if text[0] in "([" and text[-1] in ")]":
        return [_value(part.strip()) for part in _split(text[1:-1], "value")]
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return text


def _text(value):
    if isinstance(value, (list, tuple)):
        return f"({','.join(map(_text, value))})"
    words = {word: text for text, word in _WORDS.items()}
    return words[value] if value is None or isinstance(value, bool) else str(value)


def _same_kind(value, default):
    """Whether `value` may replace `default`: None says nothing about the kind, and may replace all
    but booleans.
    """
    if isinstance(value, bool) or isinstance(default, bool):
        return isinstance(value, bool) and isinstance(default, bool)
    if value is None or default is None:
        return True
    if isinstance(default, float):
        return isinstance(value, (int, float))
    if isinstance(default, (list, tuple)):
        return isinstance(value, (list, tuple))
    return isinstance(value, type(default))
