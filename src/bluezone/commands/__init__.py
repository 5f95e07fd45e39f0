"""One file for each `bluezone` command: it reads files and prints; the layers do the work."""
