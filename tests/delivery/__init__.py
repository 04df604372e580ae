"""What is handed to an operator: the image's recipe, the compose file, the commands, the documentation."""
