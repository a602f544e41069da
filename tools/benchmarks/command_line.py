"""The command line of tools/benchmark: a subcommand, then flags."""

import importlib
import json

from benchmarks import COMMANDS, timing


def run(options, arguments):
    """Runs the benchmark named in `arguments`; returns the text to print.

    Args:
        options: Dict of the flags of tools/benchmark.
        arguments: List of strings, the name of a benchmark.

    Raises:
        ValueError: if there is no such benchmark.
    """
    if len(arguments) != 1 or arguments[0] not in COMMANDS:
        known = "".join(f"\n  {name:10s} {text}" for name, text in COMMANDS.items())
        received = " ".join(arguments) or "nothing"
        raise ValueError(f"Name one benchmark:{known}\nReceived: {received}")
    benchmark = importlib.import_module(f"benchmarks.{arguments[0]}")
    result = benchmark.run(options)
    if options["json"]:
        with open(options["json"], "w", encoding="utf-8") as file:
            json.dump(result, file, indent=2)
    return f"{timing.describe_machine(result)}\n{benchmark.table(result)}"
