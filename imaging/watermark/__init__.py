"""The visible corner mark of Gemini's pictures: its map, its detection, its removal."""
