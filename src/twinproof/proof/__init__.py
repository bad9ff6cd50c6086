"""Bytes and maths: trees, notes, signatures and the codecs they need. No I/O, no clock."""
