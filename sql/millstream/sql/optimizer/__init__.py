"""Rules that turn a logical plan into one that computes the same with less: one rule a file.

``optimize`` in ``optimizer.optimize`` applies them in order.
"""
