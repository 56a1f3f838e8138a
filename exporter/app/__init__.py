"""What each command does. Here, and only here, the parts are put together."""
