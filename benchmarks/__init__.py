"""Every number in the README and docs: `./bluezone bench NAME`."""
