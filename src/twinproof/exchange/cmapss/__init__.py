"""NASA's C-MAPSS turbofan data: reading the files, simulating more of the same, signing them as columns."""
