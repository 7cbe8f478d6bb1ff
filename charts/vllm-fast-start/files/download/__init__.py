"""The download Job: fills a disk with one model, verified, and writes its manifest last.

Standard library only (Python 3.9 or newer), and `gcloud` for Cloud Storage.  Killed at any point
it may run again: what is there already is kept, and without a manifest nothing takes the disk for
complete.
"""
