"""Training runs: from flags to a numbered folder with a trained model, its scores and its pictures.

`configuration` completes the flags to one dict, `factory` makes the model, `data` the batches, `loop`
trains within a budget, `evaluation` scores, and `runner` puts them together. The flags are in
`keras_uai.cli.train`.
"""
