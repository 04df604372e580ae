"""Where commands come in, are judged, and are carried on until nothing is left of them to do."""
