"""The authors' side: writing, running, grading and publishing the notebooks."""
