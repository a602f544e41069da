"""Training runs: from flags to a numbered folder with a trained model, its scores and its pictures.

`configuration` completes the flags to one dict, `factory` makes the model, `data` the batches, `loop`
trains within a budget, `evaluation` scores, and `runner` puts them together. The flags are `settings`.

Arguments have the same meaning everywhere: `settings` is the dict of `configuration.resolve`, `data`
the run's `data.Data`, `model` an `InpaintingModel`, `folder` the path of the run, and `group` its
`distribution` group.
"""
