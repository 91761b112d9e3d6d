"""Tests behind the exercises, one module a notebook: `EXERCISES` maps an exercise onto a function of the answer.

A test returns a sentence of praise (or None) when the answer is right, and raises `checks.NotYet` when it is not.
They are kept out of the notebooks so that nobody reads the answer by accident; nobody is kept from reading them here.
"""
