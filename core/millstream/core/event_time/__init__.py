"""Event time: stamping batches, per-split watermarks, idleness, merging of channels. Pure; clocks are arguments."""
