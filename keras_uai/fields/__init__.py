"""Fields with gaps: arrays, rasters and series of them, and the files that hold them."""
