"""Remaining useful life: training, intervals, serving, replay. Design: docs/design/prognosis.md.

Pure: arrays and bytes in, arrays and bytes out; seeds and model digests are arguments. numpy serves; lightgbm and
scikit-learn (extra `train`) are imported only when something is trained. `replay` and what it stands on
(`model`, `trees`, `tables`, `quality`, `record`) need neither.
"""
