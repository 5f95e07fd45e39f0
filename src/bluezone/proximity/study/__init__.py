"""Fits the estimator on recordings with true distances, and judges it beside published rules.

Reads files and needs scipy and matplotlib; nothing that a phone runs imports it.
"""
