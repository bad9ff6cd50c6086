"""Folds of the log that are kept on disk or in memory: derived, droppable, never written by anything else."""
