"""What a Task is and what its changes mean. Pure: no network, no disk, no clock, no logging."""
