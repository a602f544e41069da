"""Benchmarks, one module each: `run(options)` measures and returns a dict of JSON values.

The dict has "machine" and "versions" (see `timing.machine`). `table(result)` turns it into text.
"""

#: Subcommands of tools/benchmark and their descriptions.
COMMANDS = {
    "data": "loading and damaging of images against the training step",
    "inference": "time and memory of whole images, beside cv2.inpaint",
    "metrics": "the Fréchet distance against TF-GAN and scipy",
    "scaling": "expected speed on several machines, from a step measured here",
    "serving": "an export against the model it was made of",
    "step": "the training step against PyTorch on the same networks and losses",
}
