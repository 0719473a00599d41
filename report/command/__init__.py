"""The console command, its progress bars, and the server that rebuilds on change."""
