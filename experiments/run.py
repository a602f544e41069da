"""Trains and scores a model: flags here, the work in `keras_uai.experiment`.

    python experiments/run.py --flagfile=experiments/flagfiles/drawn_faces_drop_pixel_32.flags
    python experiments/run.py --data=my/photos --measurement="DropPixel(0.9)" --minutes=60
    python experiments/run.py --resume=runs/0007-uai-drawn_faces-drop_pixel_0.9-seed0

What no flag says comes from the preset (--preset), then from the defaults named here.
"""

import start  # noqa: F401  before all else: see there
from absl import app, flags

from keras_uai import experiment
from keras_uai.experiment import command_line

# === Data ===
flags.DEFINE_string(
    "data",
    None,
    "Images: drawn_faces, celeb_a, lsun/bedroom, recipe1m, or a folder of images.",
)
flags.DEFINE_integer(
    "image_size",
    None,
    "Side of the square images, in pixels. Default: the data set's.",
)
flags.DEFINE_integer(
    "crop_size",
    None,
    "Side of the centre crop before resizing. Default: the largest square.",
)
flags.DEFINE_integer("channels", None, "1 (grey) or 3 (RGB). Default: the images'.")
flags.DEFINE_integer(
    "split_seed",
    None,
    "Seed of split, order and of every image's mask. Default: 0.",
)
flags.DEFINE_integer("limit", None, "Train on so many images at most. Default: all.")
flags.DEFINE_string(
    "mask_from",
    None,
    "Where already damaged images have their masks: alpha, sidecar or color:R,G,B.",
)
flags.DEFINE_bool(
    "strict",
    None,
    "Stop at an unreadable image instead of skipping it. Default: false.",
)
flags.DEFINE_string(
    "measurement",
    None,
    'How clean images are damaged: "Patch(90, 10)", "DropPixel(0.9)"; of damaged ones '
    '(--mask_from): "Empirical(max_masks=2048)", the default then.',
)
flags.DEFINE_string("data_dir", None, "Where named data sets lie.")
flags.DEFINE_bool("download", None, "Allow downloads of named data sets. Default: false.")

# === Model ===
flags.DEFINE_string("model", None, "Class of keras_uai.models. Default: UAI.")
flags.DEFINE_enum(
    "preset",
    None,
    ["paper", "recommended"],
    "What flags that are not given start from: the paper's section 3, or what measures best. "
    "Default: recommended.",
)
flags.DEFINE_integer("latent_dim", None, "Length of the latent that E recovers.")
flags.DEFINE_float(
    "average_decay",
    None,
    "Decay of the average of G's weights that is used for samples; 0: none.",
)
flags.DEFINE_string(
    "generator",
    None,
    "Arguments of G: width=48,stem=2,fill=true,attention_size=none.",
)
flags.DEFINE_string("discriminator", None, "Arguments of D, likewise.")
flags.DEFINE_string("encoder", None, "Arguments of E, likewise.")
flags.DEFINE_string(
    "model_arguments",
    None,
    "Further arguments of the model's class: hide=(0.1,0.5),discriminate_y_hat=true.",
)
flags.DEFINE_integer("seed", None, "Seed of weights and noise. Default: 0.")

# === Losses and optimizers ===
flags.DEFINE_string("gan_loss", None, "hinge, minimax or least_squares.")
for term in experiment.settings.loss_terms():
    flags.DEFINE_float(
        f"lambda_{term}",
        None,
        f'Weight of the loss term "{term}"; 0 costs nothing.',
    )
flags.DEFINE_float("learning_rate", None, "Adam's, of G and E.")
flags.DEFINE_float("discriminator_learning_rate", None, "Adam's, of D.")
flags.DEFINE_float("beta_1", None, "Adam's beta_1, of G and E.")
flags.DEFINE_float("beta_2", None, "Adam's beta_2, of G and E.")
flags.DEFINE_float("discriminator_beta_1", None, "Adam's beta_1, of D.")
flags.DEFINE_float("discriminator_beta_2", None, "Adam's beta_2, of D.")
flags.DEFINE_string(
    "schedule",
    None,
    "Of the learning rates over the whole training: constant or cosine.",
)
flags.DEFINE_integer("warmup_steps", None, "Steps over which the learning rates rise from 0.")
flags.DEFINE_integer("batch_size", None, "Images a step.")
flags.DEFINE_integer(
    "micro_batches",
    None,
    "Parts in which a batch is worked through, to save memory.",
)
flags.DEFINE_string(
    "jit_compile",
    None,
    "XLA: auto (where there is an accelerator), true or false (on JAX: always). Default: auto.",
)
flags.DEFINE_string(
    "precision",
    None,
    "float32, mixed_float16 or mixed_bfloat16. Default: float32.",
)

# === How long: training ends at whichever is reached first ===
flags.DEFINE_integer("epochs", None, "Epochs.")
flags.DEFINE_integer("steps", None, "Updates.")
flags.DEFINE_float(
    "minutes", None, "Minutes of training; compiling and evaluation are not counted."
)
flags.DEFINE_integer(
    "steps_per_epoch",
    None,
    "Updates from one line of the log to the next. Default: once through the data.",
)

flags.DEFINE_bool(
    "fit_look",
    None,
    "After the training, fit look_gain on training images of which more was hidden, so that samples "
    "spread as much as they err; of models that take a second look. Default: true.",
)

# === Evaluation, on images that were withheld ===
flags.DEFINE_string(
    "eval_split",
    None,
    "Images of the scores at the end: withheld (15%), or test, the 10% on which the supervised "
    "models are not trained (the others are, as damaged). Default: withheld.",
)
flags.DEFINE_integer(
    "eval_images",
    None,
    "Images of the scores at the end; 0: none. Default: 1000.",
)
flags.DEFINE_integer("num_samples", None, "Samples an image. Default: 10.")
flags.DEFINE_string(
    "extractor",
    None,
    "Features of a Fréchet distance at the end: inception, efficientnet_lite0, ..., or auto: the "
    "first if it is there, else the second. Default: no such distance.",
)
flags.DEFINE_integer(
    "eval_every",
    None,
    "Epochs from one evaluation during training to the next; 0: none. Default: 5.",
)
flags.DEFINE_integer(
    "monitor_images",
    None,
    "Images of the scores during training; 0: pictures only. Default: 100.",
)
flags.DEFINE_integer("grid_images", None, "Columns of the pictures. Default: 8.")
flags.DEFINE_integer("grid_samples", None, "Samples in a column. Default: 4.")

# === The run ===
flags.DEFINE_string("runs", None, "Folder of the run folders. Default: runs.")
flags.DEFINE_string("tag", None, "Ends the run folder's name.")
flags.DEFINE_string("resume", None, "Go on with this run; other settings than its own are refused.")
flags.DEFINE_float(
    "checkpoint_minutes",
    None,
    "Minutes from one checkpoint to the next. Default: 5.",
)
flags.DEFINE_enum(
    "distribution",
    None,
    ["none", "mirrored", "multi_worker"],
    "Train on all devices of this machine, or of several (see the README); --batch_size stays that "
    "of all together. Default: none.",
)
flags.DEFINE_bool("dry_run", None, "Print the settings and stop.")  # fmt: skip

if __name__ == "__main__":
    app.run(command_line.main, flags_parser=command_line.parse)
