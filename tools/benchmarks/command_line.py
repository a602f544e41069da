"""The command line of tools/benchmark: a subcommand, then flags."""

import importlib
import json
import sys

from absl import flags

from benchmarks import COMMANDS, timing


def main(argv):
    """Runs the benchmark that `argv` names; returns the exit code."""
    if len(argv) != 2 or argv[1] not in COMMANDS:
        print("error: name one of:", file=sys.stderr)
        for name, what in COMMANDS.items():
            print(f"  {name:10s} {what}", file=sys.stderr)
        print(f"Received: {' '.join(argv[1:]) or 'nothing'}", file=sys.stderr)
        return 2
    benchmark = importlib.import_module(f"benchmarks.{argv[1]}")
    result = benchmark.run({name: flags.FLAGS[name].value for name in flags.FLAGS})
    print(timing.describe_machine(result))
    print(benchmark.table(result))
    if flags.FLAGS["json"].value:
        with open(flags.FLAGS["json"].value, "w", encoding="utf-8") as file:
            json.dump(result, file, indent=2)
    return 0
