"""The command `watch`: follows one export job, Task or batch job for a person at a terminal. See docs/watch.md."""
