"""From one config to a release that serves, and back."""
