"""Trains and scores a model in a numbered run folder.

    python experiments/run.py --flagfile=experiments/flagfiles/drawn_faces_drop_pixel_32.flags
    python experiments/run.py --data=my/photos --measurement="DropPixel(0.9)" --minutes=60
    python experiments/run.py --resume=runs/0007-uai-drawn_faces-drop_pixel_0.9-seed0

Flags that are not given come from the configuration (--config), then from the defaults named here.
"""

import shlex
import sys

from absl.flags import FLAGS, DEFINE_bool, DEFINE_float, DEFINE_integer, DEFINE_string

_FLAGS = {
    # Data.
    "data": (str, "Images: drawn_faces, celeb_a, lsun/bedroom, recipe1m, or a folder of images."),
    "image_size": (int, "Resize images to this side. Default: the data set's, or none."),
    "crop_size": (
        int,
        "Train on random crops of this side, for images of any size. Default: whole images.",
    ),
    "center_crop": (int, "Side of the centre crop before resizing. Default: none."),
    "channels": (int, "1 (grey) or 3 (RGB). Default: the images'."),
    "random_horizontal_flip": (bool, "Mirror half of the training images, mask and all."),
    "split_seed": (int, "Seed of split, order, crops and of every image's mask."),
    "limit": (int, "Largest number of training images. Default: all."),
    "mask_from": (str, "Masks of damaged images: alpha, sidecar or color:R,G,B."),
    "strict": (bool, "Stop at an unreadable image instead of skipping it."),
    "measurement": (
        str,
        'Damage of clean images: "Patch(90, 10)", "DropPixel(0.9)". With --mask_from: '
        '"Empirical(max_masks=2048)", the default then.',
    ),
    "data_dir": (str, "Folder of named data sets."),
    "download": (bool, "Allow downloads of named data sets."),
    # Model.
    "model": (str, "Class of keras_uai.models."),
    "config": (
        str,
        "Configuration that flags start from: paper (section 3), or recommended (what measures best).",
    ),
    "latent_dim": (int, "Length of the latent that E recovers."),
    "ema_decay": (float, "Decay of the average of G's weights that samples use; 0: no average."),
    "sampler": (str, 'Sampler of inference: "OneStage()" or "TwoStage(4, 1.2)".'),
    "generator": (str, "Arguments of G: width=48,space_to_depth=2,attention_level=none."),
    "discriminator": (str, "Arguments of D, as of G."),
    "encoder": (str, "Arguments of E, as of G."),
    "model_arguments": (
        str,
        "Other arguments of the class: split_ratio=(0.1,0.5),train_on_y_hat=true.",
    ),
    "seed": (int, "Seed of weights and noise."),
    # Losses and optimizers.
    "gan_loss": (str, "hinge, minimax or least_squares."),
    "learning_rate": (float, "Adam's learning rate, of G and E."),
    "discriminator_learning_rate": (float, "Adam's learning rate, of D."),
    "beta_1": (float, "Adam's beta_1, of G and E."),
    "beta_2": (float, "Adam's beta_2, of G and E."),
    "discriminator_beta_1": (float, "Adam's beta_1, of D."),
    "discriminator_beta_2": (float, "Adam's beta_2, of D."),
    "schedule": (str, "Learning rates over the training: constant or cosine."),
    "warmup_steps": (int, "Steps over which the learning rates rise from 0."),
    "batch_size": (int, "Images per step, of all devices together."),
    "gradient_accumulation_steps": (int, "Parts in which a batch is processed, to save memory."),
    "jit_compile": (str, "XLA: auto (with an accelerator), true or false (on JAX: always)."),
    "precision": (str, "float32, mixed_float16 or mixed_bfloat16."),
    # Length: training ends at the limit that is reached first.
    "epochs": (int, "Epochs."),
    "steps": (int, "Updates."),
    "minutes": (float, "Minutes of training; compiling and evaluation are not counted."),
    "steps_per_epoch": (int, "Updates per row of the log. Default: once through the data."),
    "calibrate_spread": (
        bool,
        "Afterwards, fit the inflation of a TwoStage sampler on training images of which more is "
        "hidden, so that samples are as spread out as they are wrong.",
    ),
    # Evaluation, on images that were not trained on.
    "eval_split": (
        str,
        "Images of the final scores: validation (15%), or test, the 10% on which the supervised "
        "models are not trained either.",
    ),
    "eval_images": (int, "Images of the final scores; 0: none."),
    "num_samples": (int, "Samples per image."),
    "extractor": (
        str,
        "Features of a final Fréchet distance: inception, efficientnet_lite0, ..., or auto (the "
        "first if it is there, else the second). Default: no distance.",
    ),
    "eval_every": (int, "Epochs between evaluations during training; 0: none."),
    "monitor_images": (int, "Images of the scores during training; 0: pictures only."),
    "grid_images": (int, "Columns of the pictures."),
    "grid_samples": (int, "Samples per column."),
    # The run.
    "runs": (str, "Folder of the run folders."),
    "tag": (str, "Ends the run folder's name."),
    "resume": (str, "Run folder to resume; settings that differ from its own are refused."),
    "checkpoint_minutes": (float, "Minutes between checkpoints."),
    "distribution": (
        str,
        "Devices: none (one), mirrored (this machine's) or multi_worker; see the README.",
    ),
    "dry_run": (bool, "Print the settings and stop."),
}
_DEFINE = {str: DEFINE_string, int: DEFINE_integer, float: DEFINE_float, bool: DEFINE_bool}


def define():
    from keras_uai.training import configuration

    defaults = {**configuration.DEFAULTS, **configuration.NOT_SETTINGS}
    for name, (kind, words) in _FLAGS.items():
        default = defaults.get(name)
        words += "" if default is None else f" Default: {default}."
        _DEFINE[kind](name, None, words)  # None: not given
    for term in configuration.loss_terms():
        DEFINE_float(f"lambda_{term}", None, f'Weight of the loss term "{term}"; 0: not computed.')


def run(options):
    """Trains; returns the exit code."""
    from keras_uai.training import configuration, runner

    known = (*configuration.names(), *configuration.NOT_SETTINGS)
    given = {name: options[name] for name in known if FLAGS[name].present}
    return runner.main(given, shlex.join(sys.argv))
