"""Benchmarks, one a module: `run(options)` measures and returns a JSON-able dict with "machine" and
"versions" (see `timing.machine`), `table(result)` makes text of it. tools/benchmark finds them by
the names in `COMMANDS`.
"""

#: subcommand: what it measures
COMMANDS = {
    "data": "batches of damaged images against the training step",
    "metrics": "the Fréchet distance against TF-GAN's and scipy's",
    "scaling": "what more machines would bring: this one's step, and an assumed network",
    "serving": "an export against the model it was made of",
    "step": "the training step against PyTorch's on the same networks and losses",
}
