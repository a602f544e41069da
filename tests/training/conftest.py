import pytest

SMALL = "width=4,max_width=4,space_to_depth=2"


@pytest.fixture
def tiny(tmp_path):
    """Flags of a run of seconds: 12 steps of 8 images of 16 x 16 pixels, 5 steps per epoch."""
    return {
        "data": "drawn_faces",
        "image_size": 16,
        "limit": 40,
        "measurement": "DropPixel(0.5)",
        "latent_dim": 4,
        "model_arguments": "energy_scales=(none,)",  # less to trace
        "generator": f"{SMALL},noise_channels=1",
        "discriminator": SMALL,
        "encoder": SMALL,
        "batch_size": 8,
        "steps": 12,
        "jit_compile": "false",
        "eval_images": 6,
        "monitor_images": 3,
        "num_samples": 2,
        "eval_every": 2,
        "grid_images": 2,
        "grid_samples": 2,
        "runs": str(tmp_path / "runs"),
    }
