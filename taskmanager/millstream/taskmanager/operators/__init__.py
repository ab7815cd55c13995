"""Operators, one a file. ``operator.py`` is the contract, ``registry.py`` maps specifications to operators."""
