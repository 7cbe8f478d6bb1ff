"""Checks manifests, whoever made them: schemas, rules over several objects, values, waivers.

:mod:`pylib.validate.checking` is the way in; this module loads nothing, since half of the package
is not needed to say that a file cannot be read.
"""
