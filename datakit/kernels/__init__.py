"""The hot loops, numba over Arrow's UTF-8 buffers, each beside a plain-Python reference that tests hold it to."""
