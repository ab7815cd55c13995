"""From the stream graph to the job graph: chains, edges, ids, pickled user code, shipped modules.

``millstream.client.translate`` is the entry; ``chaining``, ``operator_ids``, ``vertices`` and ``checks`` are pure.
"""
