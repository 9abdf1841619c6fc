"""What is right and wrong with a NIR file: a verdict on each node, differences between two files, a drawing."""
