"""The settings of a run: types, defaults (the paper's, where it names one) and help texts.

Keras is not imported here, so that the flags of a command are there at once.
"""

from typing import Any, NamedTuple

#: Names of the models that can be trained, and of the terms of their losses.
MODELS = ("UAI", "UAIR", "AmbientGAN", "MisGAN", "Paired", "Splitting", "Unpaired")
LOSS_TERMS = (
    "energy", "gan", "imputer", "marginal", "splitting", "squared_error", "y", "y_squared_error", "z",
)  # fmt: skip


class Setting(NamedTuple):
    """A setting, which is a flag of `experiments/run.py`.

    Attributes:
        kind: type of the flag, or the tuple of its possible values.
        default: its value in `--config=paper`; None: not set.
        help: help text of the flag.
        least: smallest value of a number.
    """

    kind: Any
    default: Any
    help: str
    least: float | None = None


#: In the order in which they are printed and saved. The paper (section 3.3, equation 8) names no
#: learning rates (these are SAGAN's, whose networks it uses) and no length of training.
SETTINGS = {
    "data": Setting(str, None, "drawn_faces, celeb_a, lsun/bedroom, recipe1m, or a folder."),
    "image_size": Setting(int, None, "Resize images to this side. Default: the data set's.", 1),
    "crop_size": Setting(int, None, "Train on random crops of this side; images of any size.", 1),
    "center_crop": Setting(int, None, "Side of the centre crop before resizing. Default: none.", 1),
    "channels": Setting(int, None, "1 (grey) or 3 (RGB). Default: the images'.", 1),
    "random_horizontal_flip": Setting(bool, False, "Mirror half of the training images."),
    "split_seed": Setting(int, 0, "Seed of split, order, crops and masks."),
    "limit": Setting(int, None, "Largest number of training images. Default: all.", 1),
    "mask_from": Setting(str, None, "Masks of damaged images: alpha, sidecar, nan or color:R,G,B."),
    "strict": Setting(bool, False, "Stop at an unreadable image instead of skipping it."),
    "measurement": Setting(str, None, 'Damage of clean images: "Patch(90, 10)", "DropPixel(0.9)".'),
    "model": Setting(MODELS, "UAI", "Class of keras_uai.models."),
    "config": Setting(
        ("paper", "recommended"), None, "Defaults: section 3, or what measures best."
    ),
    "latent_dim": Setting(int, 128, "Length of the latent that E recovers.", 1),
    "ema_decay": Setting(float, 0.0, "Decay of the average of G's weights for samples; 0: none."),
    "sampler": Setting(str, None, 'Sampler of inference: "OneStage()" or "TwoStage(4, 1.2)".'),
    "seed": Setting(int, 0, "Seed of weights and noise."),
    "generator": Setting(str, "", "Arguments of G: width=48,space_to_depth=2,attention_level=none"),
    "discriminator": Setting(str, "", "Arguments of D, as of G."),
    "encoder": Setting(str, "", "Arguments of E, as of G."),
    "model_arguments": Setting(str, "", "Others of the class: split_ratio=(0.1,0.5)"),
    "gan_loss": Setting(("hinge", "minimax", "least_squares"), "hinge", "Adversarial loss."),
    **{f"lambda_{t}": Setting(float, None, f'Weight of the loss term "{t}".') for t in LOSS_TERMS},
    "learning_rate": Setting(float, 1e-4, "Adam's learning rate, of G and E.", 0),
    "discriminator_learning_rate": Setting(float, 4e-4, "Adam's learning rate, of D.", 0),
    "beta_1": Setting(float, 0.0, "Adam's beta_1, of G and E."),
    "beta_2": Setting(float, 0.99, "Adam's beta_2, of G and E."),
    "discriminator_beta_1": Setting(float, 0.0, "Adam's beta_1, of D."),
    "discriminator_beta_2": Setting(float, 0.99, "Adam's beta_2, of D."),
    "schedule": Setting(("constant", "cosine"), "constant", "Of the learning rates."),
    "warmup_steps": Setting(int, 0, "Steps over which the learning rates rise from 0.", 0),
    "batch_size": Setting(int, 512, "Images per step, of all devices together.", 1),
    "gradient_accumulation_steps": Setting(int, 4, "Parts of a batch, to save memory.", 1),
    "jit_compile": Setting(("auto", "true", "false"), "auto", "XLA; auto: with an accelerator."),
    "precision": Setting(
        ("float32", "mixed_float16", "mixed_bfloat16"), "float32", "Dtype policy."
    ),
    "epochs": Setting(int, None, "Epochs. Training ends at the limit that is reached first.", 1),
    "steps": Setting(int, None, "Updates.", 1),
    "minutes": Setting(float, None, "Minutes of training, without compiling and evaluation.", 0),
    "steps_per_epoch": Setting(int, None, "Updates per row of the log. Default: all images.", 1),
    "calibrate_spread": Setting(
        bool,
        True,
        "Fit the sampler's inflation, so that samples spread as much as they err.",
    ),
    "eval_split": Setting(("validation", "test"), "validation", "Images of the final scores."),
    "eval_images": Setting(int, 1000, "Images of the final scores; 0: none.", 0),
    "num_samples": Setting(int, 10, "Samples per image.", 2),
    "extractor": Setting(
        str, None, "Adds a Fréchet distance: auto, inception, efficientnet_lite0."
    ),
    "eval_every": Setting(int, 5, "Epochs between evaluations during training; 0: none.", 0),
    "monitor_images": Setting(int, 100, "Images of these evaluations; 0: pictures only.", 0),
    "grid_images": Setting(int, 8, "Columns of the pictures.", 0),
    "grid_samples": Setting(int, 4, "Samples per column.", 1),
    "tag": Setting(str, None, "Ends the run folder's name."),
}

#: Flags that say where things are or what to do. They do not change the result of a training that
#: ends without them, so that `--resume` accepts other values.
PLACES = {
    "runs": Setting(str, "runs", "Folder of the run folders."),
    "resume": Setting(str, None, "Run folder to resume; other settings than its own are refused."),
    "dry_run": Setting(bool, False, "Print the settings and stop."),
    "data_dir": Setting(str, None, "Folder of named data sets."),
    "download": Setting(bool, False, "Allow downloads of named data sets."),
    "checkpoint_minutes": Setting(float, 5.0, "Minutes between checkpoints.", 0),
    "skip_nonfinite": Setting(
        bool, False, "Skip and count batches whose losses or gradients are NaN or infinite."
    ),
    "distribution": Setting(
        ("none", "mirrored", "multi_worker"), "none", "All devices of this machine, or of several."
    ),
}
