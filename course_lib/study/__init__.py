"""The study: grids of runs, an engine that carries them out and resumes, statistics over their rows."""
