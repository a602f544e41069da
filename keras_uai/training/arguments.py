"""Arguments written on one line: `width=48,space_to_depth=2,attention_level=none`."""

import ast
import inspect

from keras_uai.presets import renamed

_WORDS = {"true": True, "false": False, "none": None}


def parse(text, flag):
    """Returns the dict that a text of `name=value,name=value` stands for.

    Args:
        text: string. Values are numbers, words, `true`, `false`, `none`, calls such as
            `TwoStage(4, 1.2)` (kept as text), or lists of values in brackets. A dict is copied.
        flag: string; the name of the flag, for messages.

    Raises:
        ValueError: If the text has another form, or gives an argument twice.
    """
    if isinstance(text, dict):
        return dict(text)
    try:
        call = ast.parse(f"f({text or ''})", mode="eval").body
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.args:
            raise ValueError("an argument without a name")
        found = {}
        for keyword in call.keywords:
            if keyword.arg is None or keyword.arg in found:
                raise ValueError(f"{keyword.arg!r} is given twice" if keyword.arg else "two stars")
            found[keyword.arg] = _value(keyword.value)
        return found
    except (SyntaxError, ValueError) as error:
        reason = getattr(error, "msg", str(error))
        raise ValueError(
            f"--{flag} must be written name=value,name=value, such as --{flag}=width=48,depth=2: "
            f"{reason}. Received: --{flag}={text}"
        ) from None


def complete(arguments, function, flag, leave_out=()):
    """Checks arguments and adds the defaults of the others.

    Args:
        arguments: dict.
        function: class or function; all its arguments except `leave_out` have defaults.
        flag: string; the name of the flag, for messages.
        leave_out: names of arguments that the flag does not set.

    Returns:
        Dict of all arguments in the order of the signature.

    Raises:
        ValueError: If an argument is unknown, or its value has another type than the default.
    """
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(function).parameters.items()
        if name not in leave_out and parameter.kind is not inspect.Parameter.VAR_KEYWORD
    }
    for name, value in arguments.items():
        if name not in defaults:
            old = {**renamed.RENAMED_OF_NETWORKS, **renamed.RENAMED}
            now = f" ({renamed.explain(name, old)})" if name in old else ""
            raise ValueError(
                f"--{flag}: {function.__name__} has no argument {name!r}{now}; it has "
                f"{', '.join(defaults) or 'none'}. Received: {name}={value!r}"
            )
        if not _same_type(value, defaults[name]):
            raise ValueError(
                f"--{flag}: `{name}` must have the type of its default, {defaults[name]!r}. "
                f"Received: {name}={value!r}"
            )
    return {**defaults, **arguments}


def _value(node):
    if isinstance(node, ast.Name):
        return _WORDS.get(node.id.lower(), node.id)
    if isinstance(node, ast.Call):
        return ast.unparse(node)
    if isinstance(node, (ast.Tuple, ast.List)):
        return [_value(element) for element in node.elts]
    return ast.literal_eval(node)


def _same_type(value, default):
    if isinstance(value, bool) or isinstance(default, bool):
        return isinstance(value, bool) and isinstance(default, bool)
    if value is None or default is None or isinstance(default, str):
        return True
    if isinstance(default, (int, float)):
        return isinstance(value, (int, type(default)))
    return isinstance(value, (list, tuple)) == isinstance(default, (list, tuple))
