"""The two configurations that flags start from: the paper's and the recommended one."""

from keras_uai import measurements
from keras_uai.models import recommended

#: Section 3.3, last row of Table 1 (equation 8). The loss weights are those of the class. The paper
#: names no learning rates (these are SAGAN's, whose networks it uses) and no length of training.
PAPER = {
    "latent_dim": 128,
    "ema_decay": 0.0,
    "sampler": None,
    "random_horizontal_flip": False,
    "model_arguments": {},
    "generator": {},
    "discriminator": {},
    "encoder": {},
    "gan_loss": "hinge",
    "loss_weights": {},
    "learning_rate": 1e-4,
    "discriminator_learning_rate": 4e-4,
    "beta_1": 0.0,
    "beta_2": 0.99,
    "discriminator_beta_1": 0.0,
    "discriminator_beta_2": 0.99,
    "schedule": "constant",
    "warmup_steps": 0,
    "batch_size": 512,
    "gradient_accumulation_steps": 4,
}

NAMES = ("paper", "recommended")


def get(name, measurement=None):
    """Returns a configuration as a dict.

    Args:
        name: `"paper"` or `"recommended"`.
        measurement: string; the recommended configuration depends on it. Default: none.
    """
    if name == "paper":
        return dict(PAPER)
    if measurement is not None and str(measurement).strip().startswith("Empirical"):
        measurement = None
    measurement = None if measurement is None else measurements.get(measurement)
    model = recommended.arguments(measurement, {})
    return {
        **PAPER,
        **{name: value for name, value in model.items() if name in PAPER},
        "model_arguments": {n: v for n, v in model.items() if n not in PAPER},
        "random_horizontal_flip": True,
        "loss_weights": recommended.compile_arguments(measurement)["loss_weights"],
        "learning_rate": recommended.LEARNING_RATE,
        "discriminator_learning_rate": recommended.DISCRIMINATOR_LEARNING_RATE,
        "beta_1": recommended.BETA_1,
        "beta_2": recommended.BETA_2,
        "schedule": "cosine",
        "warmup_steps": recommended.WARMUP_STEPS,
        "batch_size": recommended.BATCH_SIZE,
        "gradient_accumulation_steps": 1,
    }
