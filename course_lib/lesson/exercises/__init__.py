"""Tests behind the exercises, one module per notebook: `EXERCISES` maps an exercise to a function of the answer.

A test returns a sentence of praise (or None) when the answer is right, and raises `checks.NotYet` when it is not.
They are kept out of the notebooks so that nobody sees an answer by accident; you are welcome to read them here.
"""
