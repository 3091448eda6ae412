"""One part at a time, its neighbours real where they are cheap."""
