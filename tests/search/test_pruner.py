"""The pruning rule on populations whose right decision is known by hand."""
