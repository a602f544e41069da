"""The two configurations that flags start from: `paper`, section 3 as it is, and `recommended`."""

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
    "schedule": "constant",
    "warmup_steps": 0,
    "batch_size": 512,
    "micro_batches": 4,
}

#: What measures best so far. The energy score on hidden pixels makes z matter and needs no game.
RECOMMENDED = {
    **PAPER,
    "average_decay": 0.995,
    "generator": {
        "width": 48,
        "max_width": 192,
        "stem": 2,
        "normalization": "group",
        "spectral": False,
        "attention_size": None,
        "fill": True,
        "noise_channels": 4,
    },
    "loss_weights": {"gan": 0.0, "z": 0.0, "y": 0.0, "energy": 1.0},
    "learning_rate": 1e-3,
    "beta_1": 0.9,
    "beta_2": 0.999,
    "schedule": "cosine",
    "warmup_steps": 100,
    "batch_size": 64,
    "micro_batches": 1,
}

PRESETS = {"paper": PAPER, "recommended": RECOMMENDED}
