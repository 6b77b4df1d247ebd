"""Many images: one after the other, none of which stops the others."""
