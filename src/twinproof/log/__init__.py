"""The durable log: opaque bytes in, indices and proofs out. It never knows what a twin is.

writer.Writer       appends groups, signs checkpoints            store.Store      what a backend promises
reader.Reader       entries, proofs, tiles                       sqlite, memory   two backends
pin.Pin             remembers the last signed checkpoint         recovery         after a rollback or a lost pin
fsck.fsck           re-derives everything from the raw entries   signing          the log's own checkpoints
files               small files that survive a power cut
"""
