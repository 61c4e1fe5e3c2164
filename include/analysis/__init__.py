"""What analysts ask of a lake before they change the configuration: commands that read and store nothing."""
