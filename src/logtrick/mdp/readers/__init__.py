"""Readers: one module for each way in which a finite MDP is written down."""
