"""Clusters and sites: registered after a preflight, shown with their health, edited, and removed knowing what hangs
on them.
"""
