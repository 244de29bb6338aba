"""Measurements beside what a user would pick instead, interleaved in one run; figures are ratios within that run."""
