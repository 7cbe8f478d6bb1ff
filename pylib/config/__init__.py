"""The config file: its fields, its rules, and how to start one."""
