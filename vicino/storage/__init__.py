"""How a database lies on a disk: journals of immutable containers and logs, the lock of the one writer, the pins of the readers."""
