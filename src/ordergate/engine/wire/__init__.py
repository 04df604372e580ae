"""What leaves for a broker and what is heard from it. Nothing else in the engine speaks to one."""
