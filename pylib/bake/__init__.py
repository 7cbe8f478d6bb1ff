"""Making disk images: plan (pure), then act (journal first), then publish; undo and resume."""
