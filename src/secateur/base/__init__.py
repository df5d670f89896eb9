"""What every room uses: errors, atomic files, options from TOML, optional imports, progress bars."""
