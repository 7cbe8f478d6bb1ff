"""Brings a release into a cluster: look first, say what is wrong, then helm, then wait.

``preflight`` only reads; ``recover`` mends what an earlier, interrupted run left; ``install`` ties
them to helm and ``wait``.
"""
