"""Logical plans: what a query computes, as a tree of relations; and what is known of each of them."""
