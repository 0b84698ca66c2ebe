"""Work that is shared: rows by the threads of a process, classes by the processes of a group."""
