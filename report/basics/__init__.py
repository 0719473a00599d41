"""What every room uses: problems that are collected and reported together, files that are replaced as a whole."""
