"""The rulebook: values in, values out. Knows no clock, no chance, no disk and no wire."""
