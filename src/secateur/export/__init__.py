"""Export to formats that stock runtimes run."""
