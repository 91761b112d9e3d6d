"""The course as pages to read, made from executed notebooks and from the texts of the repository."""
