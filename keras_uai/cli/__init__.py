"""Commands: their flags, one module each. `tools/NAME` and `keras-uai NAME` run them."""
