"""What runs inside a bake VM, and its packer."""
