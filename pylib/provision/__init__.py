"""What stands between baked images and a release: node pools, disks, roles, cluster objects."""
