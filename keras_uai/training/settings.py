"""The settings of a run: types, defaults (the paper's, where it names one) and help texts."""

import inspect
from typing import Any, NamedTuple

from keras_uai import models


class Setting(NamedTuple):
    """A setting, which is a flag of `experiments/run.py`.

    Attributes:
        kind: type of the flag.
        default: its value in `--config=paper`; None: not set.
        help: help text of the flag.
        least: smallest value of a number.
        choices: the possible values of a text.
    """

    kind: type
    default: Any
    help: str
    least: float | None = None
    choices: tuple = ()


#: In the order in which they are printed and saved. The paper (section 3.3, equation 8) names no
#: learning rates (these are SAGAN's, whose networks it uses) and no length of training.
SETTINGS = {
    "data": Setting(
        str, None, "Images: drawn_faces, celeb_a, lsun/bedroom, recipe1m, or a folder of images."
    ),
    "image_size": Setting(int, None, "Resize images to this side. Default: the data set's.", 1),
    "crop_size": Setting(
        int, None, "Train on random crops of this side, for images of any size. Default: none.", 1
    ),
    "center_crop": Setting(int, None, "Side of the centre crop before resizing. Default: none.", 1),
    "channels": Setting(int, None, "1 (grey) or 3 (RGB). Default: the images'.", 1),
    "random_horizontal_flip": Setting(bool, False, "Mirror half of the training images."),
    "split_seed": Setting(int, 0, "Seed of split, order, crops and masks."),
    "limit": Setting(int, None, "Largest number of training images. Default: all.", 1),
    "mask_from": Setting(str, None, "Masks of damaged images: alpha, sidecar or color:R,G,B."),
    "strict": Setting(bool, False, "Stop at an unreadable image instead of skipping it."),
    "measurement": Setting(
        str,
        None,
        'Damage of clean images: "Patch(90, 10)", "DropPixel(0.9)". With --mask_from: '
        '"Empirical(max_masks=2048)", the default then.',
    ),
    "model": Setting(str, "UAI", "Class of keras_uai.models."),
    "config": Setting(
        str,
        None,
        "Start from paper (section 3), or from recommended (what measures best), the default of "
        "UAI.",
        choices=("paper", "recommended"),
    ),
    "latent_dim": Setting(int, 128, "Length of the latent that E recovers.", 1),
    "ema_decay": Setting(float, 0.0, "Decay of the average of G's weights for samples; 0: none."),
    "sampler": Setting(str, None, 'Sampler of inference: "OneStage()" or "TwoStage(4, 1.2)".'),
    "seed": Setting(int, 0, "Seed of weights and noise."),
    "generator": Setting(
        str, "", "Arguments of G: width=48,space_to_depth=2,attention_level=none."
    ),
    "discriminator": Setting(str, "", "Arguments of D, as of G."),
    "encoder": Setting(str, "", "Arguments of E, as of G."),
    "model_arguments": Setting(
        str, "", "Other arguments of the class: split_ratio=(0.1,0.5),train_on_y_hat=true."
    ),
    "gan_loss": Setting(str, "hinge", "hinge, minimax or least_squares."),
    "learning_rate": Setting(float, 1e-4, "Adam's learning rate, of G and E."),
    "discriminator_learning_rate": Setting(float, 4e-4, "Adam's learning rate, of D."),
    "beta_1": Setting(float, 0.0, "Adam's beta_1, of G and E."),
    "beta_2": Setting(float, 0.99, "Adam's beta_2, of G and E."),
    "discriminator_beta_1": Setting(float, 0.0, "Adam's beta_1, of D."),
    "discriminator_beta_2": Setting(float, 0.99, "Adam's beta_2, of D."),
    "schedule": Setting(
        str, "constant", "Learning rates over the training.", choices=("constant", "cosine")
    ),
    "warmup_steps": Setting(int, 0, "Steps over which the learning rates rise from 0.", 0),
    "batch_size": Setting(int, 512, "Images per step, of all devices together.", 1),
    "gradient_accumulation_steps": Setting(
        int, 4, "Parts in which a batch is processed, to save memory.", 1
    ),
    "jit_compile": Setting(
        str,
        "auto",
        "XLA; auto: with an accelerator. On JAX: always.",
        choices=("auto", "true", "false"),
    ),
    "precision": Setting(
        str, "float32", "Dtype policy.", choices=("float32", "mixed_float16", "mixed_bfloat16")
    ),
    "epochs": Setting(int, None, "Epochs. Training ends at the limit that is reached first.", 1),
    "steps": Setting(int, None, "Updates.", 1),
    "minutes": Setting(float, None, "Minutes of training, without compiling and evaluation."),
    "steps_per_epoch": Setting(
        int, None, "Updates per row of the log. Default: once through the data.", 1
    ),
    "calibrate_spread": Setting(
        bool,
        True,
        "Afterwards, fit the inflation of a TwoStage sampler on training images of which more is "
        "hidden, so that samples are as spread out as they are wrong.",
    ),
    "eval_split": Setting(
        str,
        "validation",
        "Images of the final scores: validation (15%), or test, the 10% on which the supervised "
        "models are not trained either.",
        choices=("validation", "test"),
    ),
    "eval_images": Setting(int, 1000, "Images of the final scores; 0: none.", 0),
    "num_samples": Setting(int, 10, "Samples per image.", 2),
    "extractor": Setting(
        str,
        None,
        "Features of a final Fréchet distance: inception, efficientnet_lite0, ..., or auto (the "
        "first if it is there, else the second). Default: no distance.",
    ),
    "eval_every": Setting(int, 5, "Epochs between evaluations during training; 0: none.", 0),
    "monitor_images": Setting(int, 100, "Images of these evaluations; 0: pictures only.", 0),
    "grid_images": Setting(int, 8, "Columns of the pictures.", 0),
    "grid_samples": Setting(int, 4, "Samples per column.", 1),
    "tag": Setting(str, None, "Ends the run folder's name."),
}

#: Flags that say where things are or what to do. They do not change the result, so that `--resume`
#: accepts other values.
PLACES = {
    "runs": Setting(str, "runs", "Folder of the run folders."),
    "resume": Setting(str, None, "Run folder to resume; other settings than its own are refused."),
    "dry_run": Setting(bool, False, "Print the settings and stop."),
    "data_dir": Setting(str, None, "Folder of named data sets."),
    "download": Setting(bool, False, "Allow downloads of named data sets."),
    "checkpoint_minutes": Setting(float, 5.0, "Minutes between checkpoints."),
    "distribution": Setting(
        str, "none", "Devices: none (one), mirrored (this machine's) or multi_worker (several)."
    ),
}


def model_classes():
    """Returns `{name: class}` of the models that can be trained."""
    found = {name: getattr(models, name) for name in models.__all__}
    return {
        name: value
        for name, value in found.items()
        if inspect.isclass(value)
        and issubclass(value, models.InpaintingModel)
        and value is not models.InpaintingModel
    }


def loss_terms():
    """Returns the names of all models' loss terms, sorted; each has a setting `lambda_NAME`."""
    return sorted({term for cls in model_classes().values() for term in cls.default_loss_weights})


def every():
    """Returns all settings, `{name: Setting}`, with the weights of the loss terms."""
    found = {}
    for name, setting in SETTINGS.items():
        found[name] = setting
        if name == "gan_loss":
            for term in loss_terms():
                found[f"lambda_{term}"] = Setting(float, None, f'Weight of the loss term "{term}".')
    return found
