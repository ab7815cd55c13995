"""The event generator of the Nexmark benchmark: people, their auctions and the bids on them, as columns.

Each field of event ``n`` is a function of ``n`` and the seed (a counter-based hash), so any range of events gives the
same rows whoever generates it, in whatever batches. The model (proportions, hot keys, distributions, words) is that
of Apache Beam's generator as nexmark-flink uses it.
"""
