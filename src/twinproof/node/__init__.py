"""The one room that constructs concrete parts: configuration, keys, the log, intake, evidence."""
