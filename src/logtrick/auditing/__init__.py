"""Estimators of the policy gradient measured against the truth."""
