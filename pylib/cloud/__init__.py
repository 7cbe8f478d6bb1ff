"""Google Cloud as the bake sees it: records, one retry layer, waiters, and Google's clients."""
