"""File formats of pictures, taken apart and put together without touching a pixel."""
