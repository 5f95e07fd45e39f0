"""`./bluezone test`: formatter, linter, types, import contracts, then pytest with any arguments."""

import signal
import subprocess
import sys
from pathlib import Path

_BIN = Path(sys.executable).parent
_CHECKS = {
    "format": ["ruff", "format", "--check", "--quiet"],
    "lint": ["ruff", "check", "--quiet"],
    "types": ["mypy", "--no-error-summary"],
    "layers": ["lint-imports", "--no-logo"],
}


def main(arguments: list[str]) -> int:
    """Exit status: 0 when all is well. With arguments only pytest runs, on what they name."""
    # A script's background job ignores Ctrl-C and so do its children: tests that press it would
    # wait for ever.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if not arguments:
        for name, command in _CHECKS.items():
            print(f"== {name}", flush=True)
            if subprocess.run([_BIN / command[0], *command[1:]], check=False).returncode:
                print(f"{name} failed: {' '.join(command)}", flush=True)
                return 1
        # In order: the longest come early, and nobody waits for them in the end.
        arguments = ["--numprocesses=2", "--dist=loadfile", "--no-loadscope-reorder"]
        print("== tests", flush=True)
    return subprocess.run([sys.executable, "-m", "pytest", *arguments], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
