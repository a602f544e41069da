"""Any number of images, filled in with Apache Beam: what `tools/inpaint --runner` does (extra `beam`).

What is written is what `tools/inpaint` writes without Beam, bit by bit: an image's samples depend on the image and the
seed only. Images, results and the SavedModel may be on any file system that Beam's workers and their TensorFlow reach.
"""

import contextlib
import dataclasses
import json
import sys
import uuid

import apache_beam as beam
from apache_beam.metrics import Metrics, MetricsFilter
from apache_beam.ml.inference.base import RunInference
from apache_beam.options.pipeline_options import PipelineOptions

from keras_uai.serving import beam_files, damaged, targets
from keras_uai.serving.beam_model import ImageBytesHandler, Job
from keras_uai.serving.limits import Limits

ERRORS = "errors.jsonl"  # in the folder of the results
_COUNTS = "keras_uai"  # namespace of Beam's metrics
_WRITTEN, _KEPT, _FAILED = "written", "kept", "failed"


@dataclasses.dataclass(frozen=True)
class Report:
    """What became of the images.

    Args:
        written, kept, failed: numbers of images: whose results were written, whose were there already, and what went
            wrong with, which stands in the file `errors`.
        total: how many there were.
        out: the folder of the results.
    """

    written: int
    kept: int
    failed: int
    total: int
    out: str

    @property
    def errors(self):
        return beam_files.join(self.out, ERRORS)

    def describe(self):
        """The last line of the command."""
        text = f"{self.total} images: {self.written} written to {self.out}"
        text += f", {self.kept} were there already (--overwrite replaces them)" * bool(self.kept)
        return text + f", {self.failed} failed: {self.errors} says why" * bool(self.failed)


def inpaint(
    model,
    paths,
    out,
    *,
    mask=damaged.AUTO,
    num_samples=5,
    seed=0,
    overwrite=False,
    runner=None,
    flags=(),
    limits=None,
):
    """Fills in images and writes what comes of them.

    Args:
        model: the folder of a SavedModel.
        paths: of images and folders, and patterns (`photos/**.png`, `gs://bucket/photos/*.jpg`); absolute ones where
            workers are on other machines.
        out: folder of the results, see `results`.
        mask: see `damaged.find`.
        num_samples, seed, overwrite: see `inpainting.inpaint`.
        runner: a Beam runner's name; DirectRunner by default.
        flags: further flags of Beam's.
        limits: `Limits`: what is refused before it is sent to the model.

    Returns:
        a `Report`.

    Raises:
        ValueError: something is wrong with the paths or the mask, or flags are unknown to Beam.
    """
    found = damaged.find(paths, mask, leave_out=out, list_pattern=beam_files.matching)
    runner, options = _runner(runner, flags)
    beam_files.delete(beam_files.join(out, ERRORS))
    with _manifest(found, out) as manifest:
        pipeline = beam.Pipeline(runner, options)
        outcome = (
            pipeline
            | "Images" >> beam.io.ReadFromText(manifest)
            | "Spread" >> beam.Reshuffle()
            | "Read"
            >> beam.ParDo(_Read(out, seed, overwrite, limits or Limits())).with_outputs(
                _FAILED, main="jobs"
            )
        )
        answered = (
            outcome.jobs
            | "Fill in" >> RunInference(ImageBytesHandler(model, num_samples))
            | "Write" >> beam.ParDo(_Write(out, overwrite)).with_outputs(_FAILED)
        )
        (
            (outcome[_FAILED], answered[_FAILED])
            | "Errors" >> beam.Flatten()
            | "As JSON" >> beam.Map(lambda error: json.dumps(dict(zip(("path", "error"), error, strict=True))))
            | "Write errors" >> beam.io.WriteToText(
                beam_files.join(out, ERRORS), num_shards=1, shard_name_template="", skip_if_empty=True
            )
        )  # fmt: skip
        result = pipeline.run()
        result.wait_until_finish()
    counted = {
        counter.key.metric.name: counter.result
        for counter in result.metrics().query(MetricsFilter().with_namespace(_COUNTS))["counters"]
    }
    return Report(*(counted.get(name, 0) for name in (_WRITTEN, _KEPT, _FAILED)), len(found), out)


def run(options, paths):
    """What `tools/inpaint --runner` does: the exit code, 1 where an image failed.

    Args:
        options: dict of the tool's flags.
        paths: of images, folders and patterns; those that begin with `--` are flags of Beam's.

    Raises:
        ValueError: something is wrong with the command.
    """
    if bool(options["preset"]) == bool(options["model"]) or options["server"]:
        raise ValueError(
            "Beam's workers run the model themselves: name one of --preset and --model, and no --server. "
            f"Received: --preset={options['preset']}, --model={options['model']}, --server={options['server']}"
        )
    model = options["preset"] or options["model"]
    report = inpaint(
        model if beam_files.is_remote(model) else targets.folder(model),
        [path for path in paths if not path.startswith("--")],
        options["out"],
        flags=[path for path in paths if path.startswith("--")],
        **{name: options[name] for name in ("mask", "num_samples", "seed", "overwrite", "runner")},
    )
    print(report.describe(), file=sys.stderr if report.failed else sys.stdout)
    return 1 if report.failed else 0


class _Read(beam.DoFn):
    """Lines of the manifest -> `Job`s; images whose results are there end here."""

    def __init__(self, out, seed, overwrite, limits):
        self.out, self.seed, self.overwrite, self.limits = out, seed, overwrite, limits

    def process(self, line):
        item = damaged.Damaged(**json.loads(line))
        try:
            if not self.overwrite and beam_files.exists(self.out, item.name):
                Metrics.counter(_COUNTS, _KEPT).inc()
                return
            image, mask = beam_files.load(item, self.limits)
            yield Job(item.path, item.name, image, mask, self.seed)
        except (ValueError, OSError) as error:
            yield _failed(item.path, error)


class _Write(beam.DoFn):
    """Answers of the model -> files."""

    def __init__(self, out, overwrite):
        self.out, self.overwrite = out, overwrite

    def process(self, prediction):
        job, answer = prediction.example, prediction.inference
        try:
            if isinstance(answer, Exception):
                raise answer
            beam_files.write(self.out, job.name, answer, self.overwrite)
            Metrics.counter(_COUNTS, _WRITTEN).inc()
        except (ValueError, OSError) as error:
            yield _failed(job.path, error)


def _failed(path, error):
    Metrics.counter(_COUNTS, _FAILED).inc()
    return beam.pvalue.TaggedOutput(_FAILED, (path, str(error)))


def _runner(name, flags):
    """A runner and options of Beam's flags."""
    options = PipelineOptions(list(flags))
    if name in (None, "DirectRunner"):
        # What Beam runs on this machine; by that name it would try to download a program first.
        from apache_beam.runners.portability.fn_api_runner import FnApiRunner

        return FnApiRunner(), options
    return name, options


@contextlib.contextmanager
def _manifest(found, out):
    """A file of one image a line, which workers read; it is gone afterwards."""
    path = beam_files.join(out, f".images-{uuid.uuid4().hex}.jsonl")
    beam_files.create(
        path, "".join(f"{json.dumps(dataclasses.asdict(one))}\n" for one in found).encode()
    )
    try:
        yield path
    finally:
        beam_files.delete(path)
