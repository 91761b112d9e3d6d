"""The papers' claims against the rows of the study: questions, verdicts, tables and figures."""
