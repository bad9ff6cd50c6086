"""What-if: plans, depots and coupled models as scenarios that anybody runs again. Design: docs/design/simulation.md.

Extra `sim`. Pure but for native code: no clock, no randomness but seeds, no file names of its own.
"""
