"""People who log in: who they are, what they let a program do in their name, and the pages they see."""
