"""From a health worker's one-time code to published keys: codes, permissions, uploads, exports."""
