"""What runs inside a bake VM: Python 3.11's standard library and what Debian 12 ships, no more.

It is packed into the VM's metadata by :mod:`pylib.guest.pack`, and so imports nothing of the rest
of pylib, which is not there.  Paths are bytes: a layer may hold names in any encoding, or in none.
"""
