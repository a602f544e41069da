"""The two configurations that flags start from: `paper`, section 3 as it is, and `recommended`."""

from keras_uai.models import recommended

#: Section 3.3, Table 1's last row (equation 8). The class has the weights of the loss terms. The
#: paper names neither learning rates (SAGAN's are taken, whose networks it uses) nor how long it
#: trains.
PAPER = {
    "latent_dim": 128,
    "average_decay": 0.0,
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
    "micro_batches": 4,
}

#: What `UAI.recommended` makes, from the same numbers. The learning rate falls to 0, which by its
#: `steps` argument it does there, too.
RECOMMENDED = {
    **PAPER,
    **{name: value for name, value in recommended.MODEL.items() if name in PAPER},
    "model_arguments": {n: v for n, v in recommended.MODEL.items() if n not in PAPER},
    "loss_weights": recommended.LOSS_WEIGHTS,
    "learning_rate": recommended.LEARNING_RATE,
    "discriminator_learning_rate": recommended.DISCRIMINATOR_LEARNING_RATE,
    "beta_1": recommended.BETA_1,
    "beta_2": recommended.BETA_2,
    "schedule": "cosine",
    "warmup_steps": recommended.WARMUP_STEPS,
    "batch_size": recommended.BATCH_SIZE,
    "micro_batches": 1,
}

PRESETS = {"paper": PAPER, "recommended": RECOMMENDED}
